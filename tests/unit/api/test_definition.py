"""The generated CustomResourceDefinition: up to date, small, and of the form that API servers demand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trainjobs.api.change import MUTABLE
from trainjobs.api.crd.definition import definition, text
from trainjobs.api.trainjob import TrainJobSpec

FILE = Path(__file__).parents[3] / "manifests/crds/trainjobs.trainjobs.dev.yaml"
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


def member(path: str) -> bool:
    """Inside a composition, where descriptions are left out."""
    return any(f".criteria[].{key}" in path for key in ("all[]", "atLeast.of[]", "not."))


def test_the_file_in_the_manifests_is_up_to_date():
    assert FILE.read_text() == text(), "run `make generate`"


def test_the_command_prints_the_file():
    done = subprocess.run(
        [sys.executable, "-m", "trainjobs.api.crd.definition"], check=True, capture_output=True, text=True
    )
    assert done.stdout == text()


def test_the_file_holds_what_was_generated():
    assert yaml.safe_load(text()) == json.loads(json.dumps(definition()))


def test_it_stays_far_below_what_a_client_can_apply():
    """kubectl keeps a copy in an annotation, of which all together may have 256 KiB."""
    assert len(text()) < 100_000
    assert len(json.dumps(definition(), separators=(",", ":"))) < 100_000


@pytest.mark.parametrize("word", ["$ref", "$defs", "title", "const", "null", "rules", "depth"])
def test_nothing_is_left_that_an_api_server_does_not_know(word):
    assert f'"{word}"' not in json.dumps(ROOT)


def test_every_field_is_described():
    bare = [
        path
        for path, schema in nodes(ROOT)
        if path and not path.endswith("[]") and not member(path) and "description" not in schema
    ]
    assert [path for path in bare if not path.startswith(".metadata") and "valueFrom." not in path] == []


def test_every_list_with_rules_inside_is_bounded():
    lists = [(path, schema) for path, schema in nodes(ROOT) if schema.get("type") == "array"]
    assert [path for path, schema in lists if "maxItems" not in schema] == []


def test_a_members_members_are_named_but_not_described():
    inner = CRITERION["properties"]["all"]["items"]["properties"]["all"]["items"]
    assert inner["properties"]["plateau"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert "must name exactly one of" in inner["x-kubernetes-validations"][0]["message"]


def test_every_field_that_must_not_change_has_a_rule_and_no_other():
    kept = {rule["fieldPath"] for rule in ROOT["x-kubernetes-validations"] if "oldSelf" in rule["rule"]}
    fields = {field.alias or name for name, field in TrainJobSpec.model_fields.items()}
    assert kept == {f".spec.{name}" for name in fields - MUTABLE}


def test_free_form_values_are_compared_key_by_key():
    """A bare free-form object would let a renamed key pass as unchanged; see the test on the API server."""
    config = ROOT["properties"]["spec"]["properties"]["trainer"]["properties"]["config"]
    assert config["additionalProperties"] == {"x-kubernetes-preserve-unknown-fields": True}
