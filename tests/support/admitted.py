"""What a structural schema admits, as hypothesis strategies: ordinary values, and the oddest that still pass."""

from __future__ import annotations

import re
from typing import Any, Final

from hypothesis import strategies as st

Schema = dict[str, Any]

TIMES: Final = (
    "2026-11-21T10:30:00Z",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00+99:99",
    "2026-11-21T10:30:60.5Z",
)
"""Which of them an API server takes depends on its version; all have been taken."""
MANY: Final = 3
"""Items of a list or a mapping, most of the time."""
_FORM: Final = re.compile(r"self\.matches\(r'(.*)'\)")
_ONE_OF: Final = re.compile(r"\[((?:has\(self\.\w+\)(?:, )?)+)\]\.(exists_one|filter)\(given, given\).*")

_WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
free = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _WORDS,
    lambda below: st.lists(below, max_size=MANY) | st.dictionaries(_WORDS, below, max_size=MANY),
    max_leaves=8,
)
"""Any JSON value."""


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that the schema admits, and mostly also the rules in it."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 64) | st.from_regex(schema["pattern"], fullmatch=True).map(
            lambda text: text[:64]
        )
    make = _BY_TYPE.get(schema.get("type", ""))
    return make(schema) if make else free


def _list(schema: Schema) -> st.SearchStrategy[Any]:
    return st.lists(
        values(schema["items"]), min_size=schema.get("minItems", 0), max_size=_most(schema, "Items")
    )


def _most(schema: Schema, what: str) -> int:
    return max(schema.get(f"min{what}", 0), min(MANY, schema.get(f"max{what}", MANY)))


def _number(schema: Schema) -> st.SearchStrategy[float]:
    return st.floats(schema.get("minimum", -1.7e308), schema.get("maximum", 1.7e308))


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    low, high = int(schema.get("minimum", -(2**63))), int(schema.get("maximum", 2**63 - 1))
    return st.integers(low, min(high, low + 10)) | st.integers(low, high)


def _text(schema: Schema) -> st.SearchStrategy[str]:
    longest = schema.get("maxLength", 4096)
    if schema.get("format") == "date-time":
        return st.sampled_from(TIMES)
    forms = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
    patterns = [found[1] for form in forms if (found := _FORM.fullmatch(form))]
    if pattern := schema.get("pattern") or next(iter(patterns), None):
        alike = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
        return alike.filter(lambda text: len(text) <= longest)
    words = _WORDS.filter(bool) if schema.get("minLength") else _WORDS
    return words.map(lambda text: text[:longest]) | st.sampled_from(("1.5", "nan", "Running", "é" * longest))


def _object(schema: Schema) -> st.SearchStrategy[Any]:
    below = schema.get("additionalProperties")
    if isinstance(below, dict):
        least, most = schema.get("minProperties", 0), _most(schema, "Properties")
        return st.dictionaries(_WORDS, values(below), min_size=least, max_size=most)
    fields = {name: values(each) for name, each in schema.get("properties", {}).items()}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.fixed_dictionaries({}, optional=fields) | st.dictionaries(_WORDS, free, max_size=MANY)
    needed = {name: fields.pop(name) for name in schema.get("required", ())}
    chosen: list[st.SearchStrategy[Any]] = []
    for rule in schema.get("x-kubernetes-validations", ()):
        if found := _ONE_OF.fullmatch(rule["rule"]):
            names = re.findall(r"self\.(\w+)", found[1])
            alternatives = [st.fixed_dictionaries({name: fields.pop(name)}) for name in names]
            chosen.append(st.one_of(alternatives))
    whole = st.fixed_dictionaries(needed, optional=fields)
    return st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, whole, *chosen)


_BY_TYPE: Final = {
    "object": _object,
    "array": _list,
    "integer": _integers,
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "string": _text,
}
