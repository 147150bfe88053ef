"""Pydantic's errors in the words of the manifest: where, what, which rule, what to do."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainjobs.api.base import Location
from trainjobs.api.fields import homes, is_free, model_at, names_in, nearest, values_at
from trainjobs.api.manifest.document import TOO_LARGE, Document, Fault
from trainjobs.api.manifest.problems import Problem
from trainjobs.api.manifest.sketch import broken_rules

_BOUNDS: Final = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items, has {actual_length}",
    "too_long": "must have at most {max_length} items, has {actual_length}",
    "finite_number": "must be a finite number",
}
_SHAPES: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list: begin each item with '- '",
    "list_type": "a list: begin each item with '- '",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields",
}
_UNWRITABLE: Final = ("finite_number", "invalid-json-value", "string_type")
"""What pydantic finds below a free-form field, at places such as `a.list[0].float`: faults of the document, all."""


Found: TypeAlias = tuple[Location, Problem]
"""A problem with its location."""


def explained(error: ValidationError, model: type[BaseModel], document: Document) -> list[Found]:
    """One problem for each of pydantic's errors, and for each rule between fields that pydantic has not come to.

    A missing field is not reported besides its misspelling, nor what `document.faults()` tells already: all
    that JSON cannot hold.
    """
    details = error.errors(include_url=False)
    meant = {_meant(model, at["loc"]) for at in details if at["type"] == "extra_forbidden"}
    known = {tuple(map(str, fault.spoils)) for fault in document.faults() if fault.rule != TOO_LARGE}
    found = [
        (detail["loc"], document.problem(detail["loc"], _blamed(detail), _message(detail, model)))
        for detail in (*details, *broken_rules(model, document.value))
        if not (detail["type"] == "missing" and detail["loc"] in meant)
        and not _is_below(detail["loc"], known)
        and not (is_free(model, detail["loc"]) and detail["type"] in _UNWRITABLE)
    ]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def unwritable(document: Document, model: type[BaseModel]) -> list[Found]:
    """One problem for each value that JSON, and so the cluster, cannot hold, with a remedy that fits its place."""
    return [
        (fault.at, document.problem(fault.at, fault.value, f"{fault.rule}{_remedy(fault, model)}"))
        for fault in document.faults()
    ]


def _remedy(fault: Fault, model: type[BaseModel]) -> str:
    return ": write it as text or as 1e20" if fault.rule == TOO_LARGE and is_free(model, fault.at) else ""


def _is_below(at: Location, known: set[tuple[str, ...]]) -> bool:
    steps = tuple(map(str, at))
    return any(steps[:end] in known for end in range(len(steps) + 1))


def _blamed(detail: ErrorDetails) -> Any:
    """The offending value; None where a mapping or list as a whole is to blame."""
    whole = detail["type"] in ("missing", "value_error", "too_long", "too_short", "extra_forbidden")
    return None if whole and isinstance(detail["input"], dict | list) else detail["input"]


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, at, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if kind == "missing":
        return f"is required: add {at[-1]}"
    if kind == "extra_forbidden":
        return "; ".join(_unknown(model, at))
    if kind in _SHAPES or kind in ("enum", "literal_error"):
        return _wrong_value(kind, detail["input"], values_at(model, at), model_at(model, at), at)
    if kind == "value_error":
        return "; ".join([str(context["error"]), *_empty_fields(detail["input"])])
    if kind in ("too_long", "too_short"):
        context = {
            **context,
            "actual_length": len(detail["input"]),
        }  # of a mapping the context does not know it
    return _BOUNDS[kind].format(**_numbers(context)) if kind in _BOUNDS else detail["msg"]


def _numbers(context: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as a person writes them: 0, not 0.0."""
    whole = {
        name: int(bound) for name, bound in context.items() if isinstance(bound, float) and bound.is_integer()
    }
    return {**context, **whole}


def _empty_fields(found: Any) -> Iterator[str]:
    """Fields that are written and empty count as not given, which surprises where one of several is wanted."""
    if isinstance(found, dict):
        yield from (
            f"{name} is empty: write its value, or indent its fields below it"
            for name, below in found.items()
            if below is None
        )


def _unknown(model: type[BaseModel], at: Location) -> Iterator[str]:
    yield "unknown field"
    name, parent = str(at[-1]), model_at(model, at[:-1])
    if parent is None:
        return
    if meant := nearest(name, tuple(names_in(parent))):
        yield f'did you mean "{meant}"?'
    elif below := homes(parent, name):
        yield f"it is a field of {', '.join(below)}"
    elif elsewhere := homes(model, name):
        yield f"it is a field of {', '.join(elsewhere)}"
    else:
        yield f"the fields here are {', '.join(names_in(parent))}"


def _meant(model: type[BaseModel], at: Location) -> Location | None:
    parent = model_at(model, at[:-1])
    meant = nearest(str(at[-1]), tuple(names_in(parent))) if parent else None
    return (*at[:-1], meant) if meant else None


def _one_of(valid: tuple[str, ...], found: Any) -> str:
    meant = nearest(found, valid) if isinstance(found, str) else None
    question = f'; did you mean "{meant}"?' if meant else ""
    if len(valid) == 1:
        return f"must be {valid[0]}"
    return f"must be one of {', '.join(valid)}{question}"


def _wrong_value(
    kind: str, found: Any, valid: tuple[str, ...], wanted: type[BaseModel] | None, at: Location
) -> str:
    if kind not in _SHAPES:
        return _one_of(valid, found)
    if kind == "model_type" and wanted is not None and (shown := getattr(wanted, "example", "")):
        name = f"{at[-1]}: " if isinstance(at[-1], str) else ""
        return f"{_wrong_shape(kind, found)}, such as {name}{shown}"
    return _wrong_shape(kind, found)


def _wrong_shape(kind: str, found: Any) -> str:
    rule = f"must be {_SHAPES[kind]}"
    if found is None:
        return f"is empty: it {rule}; or leave the field out"
    if kind == "string_type":
        return rule if isinstance(found, dict | list) else f"{rule}: put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(found, bool):
        return f"{rule}, not true or false (YAML also reads yes, no, on and off as these)"
    if kind in ("int_type", "float_type") and isinstance(found, str) and _is_number(found):
        return f"{rule}, not text: remove the quotes"
    if kind == "int_type" and isinstance(found, float) and found.is_integer():
        return f"{rule}: write {int(found)}"
    return rule


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
