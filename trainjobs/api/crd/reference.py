"""The types as a page for people: `python -m trainjobs.api.crd.reference` prints docs/reference.md.

A section for each type, headed by the path of its first use, in the order of the fields; where a type is used again
there is a link. Every word is the types' own. `make generate` writes the page; a test fails when the file is another.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from trainjobs.api.base import Form, Model
from trainjobs.api.crd.definition import KINDS
from trainjobs.api.fields import is_list, models_in
from trainjobs.api.monitoring import Monitored, Watched
from trainjobs.api.stopping import Single

_HEAD: Final = """<!-- Generated from the types in trainjobs/api by `make generate`; change them, not this file. -->

# Every field

What a manifest may say, and what a status says. A field without a default and without **required** is unset. What
criteria compute is in [criteria.md](criteria.md), what becomes of a sweep's trials in [sweeps.md](sweeps.md), the
commands are in [commands.md](commands.md). On a cluster, `kubectl explain trainjob.spec.trainer` says the same.
"""
_RULE: Final = "rule"
_SHARED: Final = "What criteria share"
_FEW: Final = 8
"""So many alternatives of a type are named in its sentence."""
_SPANS: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " entries"),
)


def page() -> str:
    """The page as Markdown."""
    headings: dict[type[BaseModel], str] = {}
    for kind in KINDS:
        _head(kind.model, kind.model.__name__.lower(), headings)
    sections = (_TypeSection(kind, headings).text() for kind in headings)
    return "\n".join([_HEAD, *sections])


def anchor(heading: str) -> str:
    """What a heading is called in a link, as GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


class _WithRules(GenerateJsonSchema):
    """Pydantic's own JSON Schema with the rules of forms in words."""

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        described = super().function_after_schema(schema)
        form = getattr(schema["function"]["function"], "__self__", None)
        return {**described, _RULE: form.rule} if isinstance(form, Form) else described


def _head(kind: type[BaseModel], heading: str, headings: dict[type[BaseModel], str]) -> None:
    """Give a type its heading, and then all that is first used in it."""
    if kind in headings:
        return
    if issubclass(kind, Watched):
        headings.setdefault(Monitored, _SHARED)
    headings[kind] = heading
    for name, field in _named(kind).items():
        for inner in _models(field):
            _head(inner, f"{heading}.{name}{'[]' if is_list(field.annotation) else ''}", headings)


class _TypeSection:
    """What the page says of one type."""

    def __init__(self, kind: type[BaseModel], headings: Mapping[type[BaseModel], str]) -> None:
        self._kind = kind
        self._headings = headings
        self._whole = _whole(kind, headings)

    def text(self) -> str:
        """It as Markdown."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        kind, heading = self._kind, self._headings[self._kind]
        fields = {
            name: field for name, field in _named(kind).items() if not _is_as_in(self._whole, name, field)
        }
        yield f"{'##' if '.' in heading or heading == _SHARED else '#'}# {heading}\n"
        yield f"{_line((kind.__doc__ or '').partition(chr(10) * 2)[0])}{_alternatives(kind)}{_formula(heading)}\n"
        if example := getattr(kind, "example", ""):
            yield f"Example: `{example}`\n"
        if fields:
            schema = kind.model_json_schema(by_alias=True, schema_generator=_WithRules)
            types = _Types(schema.get("$defs", {}), self._links(fields.values()))
            yield "| field | type | default | meaning |\n|---|---|---|---|"
            yield from (
                _row(name, schema["properties"][name], types, field) for name, field in fields.items()
            )
            yield ""
        if self._whole:
            there = self._headings[self._whole]
            less = [f"`{name}`" for name in _named(self._whole) if name not in _named(kind)]
            without = f", without {', '.join(less)}" if less else ""
            yield f"{'Other fields' if fields else 'Fields'} as in [{there}](#{anchor(there)}){without}.\n"

    def _links(self, fields: Iterable[FieldInfo]) -> dict[str, str]:
        """Headings of the types that the fields name; in one section no two have the same name."""
        used = (inner for field in fields for inner in _models(field))
        return {inner.__name__: self._headings[inner] for inner in used}


def _models(field: FieldInfo) -> Iterator[type[BaseModel]]:
    """The models of a field's value, of its items, or of a mapping's values."""
    yield from models_in(field.annotation)
    for values in getattr(field.annotation, "__args__", ())[1:]:
        yield from models_in(values)


def _whole(kind: type[BaseModel], told: Iterable[type[BaseModel]]) -> type[BaseModel] | None:
    """The type that says most of it: the parameters that criteria share, or the composition that is one less deep."""
    if issubclass(kind, Watched):
        return Monitored if kind is not Monitored else None
    return next((other for other in told if other is not kind and issubclass(other, kind)), None)


def _named(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _is_as_in(whole: type[BaseModel] | None, name: str, field: FieldInfo) -> bool:
    other = _named(whole).get(name) if whole else None
    return other is not None and (
        (field.annotation, field.default, field.description)
        == (other.annotation, other.default, other.description)
    )


def _formula(heading: str) -> str:
    """Where a family of criteria is explained."""
    family = heading.rpartition(".")[2]
    names = {Single.model_fields[name].alias for name in Single.alternatives()}
    return f" [More](criteria.md#{family.lower()})." if family in names and "criteria[]." in heading else ""


def _alternatives(kind: type[BaseModel]) -> str:
    choice = getattr(kind, "choice", None)
    if choice is None or not issubclass(kind, Model) or str(choice.many) in _line(kind.__doc__):
        return ""
    named = [f"`{kind.model_fields[name].alias}`" for name in kind.alternatives()]
    alternatives = ", ".join(named) if len(named) <= _FEW else "the families and compositions below"
    return f" Of {alternatives} {choice.many} is given."


def _row(name: str, node: Mapping[str, Any], types: _Types, field: FieldInfo) -> str:
    cells = (f"`{name}`", types.of(node), _default(node, field), _line(field.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(node: Mapping[str, Any], field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = node.get("default")
    return "" if default in (None, "", [], {}) or isinstance(default, Mapping) else f"`{_value(default)}`"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Types:
    """Nodes of a JSON Schema in words."""

    def __init__(self, definitions: Mapping[str, JsonSchemaValue], links: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._links = links

    def of(self, node: Mapping[str, Any]) -> str:
        """A type with its bounds, such as "integer, 1 to 256"."""
        if "x-kubernetes-int-or-string" in node:
            return "quantity"
        parts = [part for part in node.get("anyOf", (node,)) if part.get("type") != "null"]
        return " or ".join(", ".join((self._kind(part), *_bounds({**node, **part}))) for part in parts)

    def _kind(self, node: Mapping[str, Any]) -> str:
        if "$ref" in node:
            return self._named(node["$ref"].rpartition("/")[2])
        if "const" in node or "enum" in node:
            return ", ".join(f"`{_value(each)}`" for each in node.get("enum", [node.get("const")]))
        if "items" in node:
            return f"list of {self.of(node['items'])}"
        if node.get("type") == "object":
            values = node.get("additionalProperties")
            return f"map of {self.of(values)}" if isinstance(values, Mapping) else "map"
        if node.get("format") == "date-time":
            return "time, RFC 3339"
        return str(node["type"])

    def _named(self, name: str) -> str:
        if name == "JsonValue":
            return "anything"
        if name in self._links:
            return f"[{name}](#{anchor(self._links[name])})"
        return self._kind(self._definitions[name])


def _bounds(node: Mapping[str, Any]) -> Iterator[str]:
    for least, most, unit in _SPANS:
        low, high = node.get(least), node.get(most)
        if low is not None and high is not None:
            yield f"{low:,} to {high:,}{unit}"
        elif low is not None or high is not None:
            yield f"at least {low:,}{unit}" if low is not None else f"at most {high:,}{unit}"
    for bound, words in (("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than")):
        if bound in node:
            yield f"{words} {node[bound]:,}"
    if _RULE in node:
        yield node[_RULE]


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.stdout.write(page())
