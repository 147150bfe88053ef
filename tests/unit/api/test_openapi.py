"""Types become a schema of the form that API servers demand."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field, JsonValue

from trainjobs.api.base import Choice, Form, HowMany, Model
from trainjobs.api.crd.definition import definition
from trainjobs.api.crd.openapi import structural

ROOT = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
CRITERION = ROOT["properties"]["spec"]["properties"]["stopping"]["properties"]["criteria"]["items"]


def nodes(schema, path=""):
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    for inside in ("items", "additionalProperties"):
        if inside in schema:
            yield from nodes(schema[inside], f"{path}[]")


@pytest.mark.parametrize("word", ["$ref", "$defs", "title", "const", "null", "rules", "depth"])
def test_nothing_is_left_that_an_api_server_does_not_know(word):
    assert f'"{word}"' not in json.dumps(ROOT)


def test_every_list_with_rules_inside_is_bounded():
    lists = [(path, schema) for path, schema in nodes(ROOT) if schema.get("type") == "array"]
    assert [path for path, schema in lists if "maxItems" not in schema] == []


def test_a_members_members_are_named_but_not_described():
    inner = CRITERION["properties"]["all"]["items"]["properties"]["all"]["items"]
    assert inner["properties"]["plateau"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert "must name exactly one of" in inner["x-kubernetes-validations"][0]["message"]


def test_free_form_values_are_compared_key_by_key():
    """A bare free-form object would let a renamed key pass as unchanged; see the test on the API server."""
    config = ROOT["properties"]["spec"]["properties"]["trainer"]["properties"]["config"]
    assert config["additionalProperties"] == {"x-kubernetes-preserve-unknown-fields": True}


class Inner(Model):
    """Words of
    two lines."""

    width: Annotated[int, Field(gt=0, strict=True)] = 3


class Outer(Model):
    """What a schema is made of."""

    given: str
    form: Annotated[str, Form("[a-z]+", "lower case")] = ""
    maybe: Annotated[float, Field(lt=1)] | None = None
    many: Annotated[tuple[Inner, ...], Field(max_length=8)] = ()
    inner: Inner = Inner()
    free: dict[str, JsonValue] = Field(default_factory=dict)
    kind: Literal["One"] = "One"
    choice = Choice(HowMany.AT_LEAST_ONE, of=("given", "maybe"))


INNER = {
    "type": "object",
    "properties": {"width": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "default": 3}},
}
MADE = structural(Outer)


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("given", {"type": "string"}),
        (
            "form",
            {
                "type": "string",
                "x-kubernetes-validations": [
                    {"rule": "self.matches(r'^([a-z]+)$')", "message": "must be lower case"}
                ],
            },
        ),
        ("maybe", {"type": "number", "maximum": 1, "exclusiveMaximum": True}),
        ("many", {"type": "array", "maxItems": 8, "items": {"description": "Words of two lines.", **INNER}}),
        ("inner", {"description": "Words of two lines.", **INNER, "default": {}}),
        (
            "free",
            {"type": "object", "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
        ("kind", {"type": "string", "enum": ["One"], "default": "One"}),
    ],
)
def test_a_field_is_what_an_api_server_understands_of_it(field, schema):
    assert MADE["properties"][field] == schema


def test_a_type_demands_what_has_no_default_and_says_its_rules():
    assert MADE["required"] == ["given"]
    assert MADE["description"] == "What a schema is made of."
    assert [rule["message"] for rule in MADE["x-kubernetes-validations"]] == [
        "must name at least one of given, maybe"
    ]


@pytest.mark.parametrize(
    ("at", "key"),
    [(("spec", "trainer", "env"), "name"), (("status", "conditions"), "type")],
    ids=["env", "conditions"],
)
def test_a_list_with_a_key_is_shared_item_by_item(at, key):
    schema = ROOT
    for step in at:
        schema = schema["properties"][step]
    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", [key])
