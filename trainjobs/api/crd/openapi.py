"""The types as a structural OpenAPI v3 schema, the form in which a Kubernetes API server takes them.

It differs from JSON Schema: no references, no null (an API server drops it), exclusive bounds are flags,
free-form values are marked, and rules between fields are expressions.

A schema cannot refer to itself either, so criteria inside compositions are copies: three of `Member` in a
`Criterion`, three of `Single` in each of these. To keep the whole small, a `Member` has no descriptions and its
families' parameters are free-form but for `monitor`; of a `Single` only the families are there. The operator checks
what is free-form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from trainjobs.api.base import Form
from trainjobs.api.crd.cel import rule_of_form, rules_of
from trainjobs.api.monitoring import Watched
from trainjobs.api.status import TrainJobStatus
from trainjobs.api.stopping import Member, Single
from trainjobs.api.sweep import Parameter
from trainjobs.api.sweep_status import TrainSweepStatus
from trainjobs.api.trainjob import Trainer

Schema = dict[str, Any]

_RULES: Final = "rules"
_DEPTH: Final = "depth"
_WATCHED: Final = "watched"
_FREE: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}

_KEYED: Final[Mapping[type[BaseModel], Mapping[str, str]]] = {
    Trainer: {"env": "name"},
    TrainJobStatus: {"conditions": "type"},
    TrainSweepStatus: {"conditions": "type"},
}
"""Lists whose items have a key: each key once, and appliers share the list item by item."""

_KEPT: Final = (
    *("type", "format", "enum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("minimum", "maximum", "required", "x-kubernetes-int-or-string", "oneOf"),
)
"""What means the same in both schemas; everything else is translated or says nothing to an API server."""


def structural(model: type[BaseModel]) -> Schema:
    """The schema of one type with everything inside it."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _Translation(schema.get("$defs", {})).of(schema)


class _Generator(GenerateJsonSchema):
    """Pydantic's own JSON Schema with our rules beside the types and forms that they are about."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        model: type[BaseModel] = schema["cls"]
        described = super().model_schema(schema)
        for name, key in _KEYED.get(model, {}).items():
            described["properties"][name] |= {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": [key],
            }
        if rules := rules_of(model):
            described[_RULES] = rules
        if (
            model is Parameter
        ):  # no expression can name a field whose values are free-form, as those of a list are
            names = [Parameter.model_fields[name].alias or name for name in Parameter.alternatives()]
            described["oneOf"] = [{"required": [name]} for name in names]
        if model in (Member, Single):
            described[_DEPTH] = 1 if model is Member else 2
        if issubclass(model, Watched):
            described[_WATCHED] = True
        return described

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        described = super().function_after_schema(schema)
        form = getattr(schema["function"]["function"], "__self__", None)
        if isinstance(form, Form):
            described[_RULES] = [rule_of_form(form)]
        return described


class _Translation:
    """JSON Schema with references → structural schema without."""

    def __init__(self, definitions: Mapping[str, JsonSchemaValue]) -> None:
        self._definitions = definitions

    def of(self, node: Mapping[str, Any], depth: int = 0) -> Schema:
        """`depth`: in how many compositions the node is."""
        node = self._resolved(node)
        if _WATCHED in node and depth > 0:
            monitor = self.of(node["properties"]["monitor"], depth)
            return {"type": "object", "properties": {"monitor": monitor}, **_FREE}
        schema: Schema = {}
        if "description" in node and depth == 0:
            schema["description"] = " ".join(node["description"].split())
        depth = max(depth, node.get(_DEPTH, 0))
        schema |= {key: node[key] for key in _KEPT if key in node} | _bounds(node)
        if "const" in node:
            schema["enum"] = [node["const"]]
        if "anyOf" in node:
            schema["anyOf"] = [dict(part) for part in node["anyOf"]]
        if "pattern" in node and _RULES not in node:
            schema["pattern"] = node["pattern"]
        schema |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
        if _RULES in node:
            schema["x-kubernetes-validations"] = [rule.as_json() for rule in node[_RULES]]
        return schema | self._inside(node, depth)

    def _inside(self, node: Mapping[str, Any], depth: int) -> Schema:
        inside: Schema = {}
        if "items" in node:
            inside["items"] = self.of(node["items"], depth)
        if "properties" in node and depth < 2:
            inside["properties"] = {name: self.of(below, depth) for name, below in node["properties"].items()}
        elif "properties" in node:
            inside["properties"] = {name: {"type": "object", **_FREE} for name in node["properties"]}
        if isinstance(node.get("additionalProperties"), Mapping):
            inside["additionalProperties"] = self.of(node["additionalProperties"], depth)
        if (default := _default(node)) is not None:
            inside["default"] = default
        return inside

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """The node with what it refers to put in; what it says itself wins."""
        own = {key: value for key, value in node.items() if key != "$ref"}
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            return _FREE if name == "JsonValue" else {**self._resolved(self._definitions[name]), **own}
        parts = [part for part in node.get("anyOf", ()) if part.get("type") != "null"]
        if len(parts) == 1:
            del own["anyOf"]
            return {**self._resolved(parts[0]), **own}
        return own


def _bounds(node: Mapping[str, Any]) -> Schema:
    bounds: Schema = {}
    for bound in ("Minimum", "Maximum"):
        if (value := node.get(f"exclusive{bound}")) is not None:
            bounds |= {bound.casefold(): value, f"exclusive{bound}": True}
    return bounds


def _default(node: Mapping[str, Any]) -> Any:
    """The default of a field; `{}` where it consists of the defaults inside, None where nothing is to be set."""
    default = node.get("default")
    if isinstance(default, Mapping):
        return {} if _says_something(default) else None
    return default if _says_something(default) else None


def _says_something(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_says_something, value.values()))
    return value not in (None, "", [], ())
