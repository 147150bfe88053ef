"""The generated CustomResourceDefinition: up to date, small, and of the form that API servers demand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trainjobs.api.crd.definition import KINDS, definition, text

CRDS = Path(__file__).parents[3] / "manifests/crds"
ROOT = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)


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


@every_kind
def test_the_file_in_the_manifests_is_up_to_date(kind):
    assert (CRDS / f"{kind.plural}.trainjobs.dev.yaml").read_text() == text(kind), "run `make generate`"


def test_there_is_a_file_for_each_kind_and_no_other():
    assert {path.name for path in CRDS.iterdir()} == {f"{kind.plural}.trainjobs.dev.yaml" for kind in KINDS}


@every_kind
def test_the_command_prints_the_file(kind):
    command = [sys.executable, "-m", "trainjobs.api.crd.definition", kind.plural]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == text(kind)


@every_kind
def test_the_file_holds_what_was_generated(kind):
    assert yaml.safe_load(text(kind)) == json.loads(json.dumps(definition(kind)))


@every_kind
def test_it_stays_far_below_what_a_client_can_apply(kind):
    """kubectl keeps a copy in an annotation, of which all together may have 256 KiB."""
    assert len(text(kind)) < 200_000
    assert len(json.dumps(definition(kind), separators=(",", ":"))) < 160_000


def test_every_field_is_described():
    bare = [
        path
        for path, schema in nodes(ROOT)
        if path and not path.endswith("[]") and not member(path) and "description" not in schema
    ]
    assert [path for path in bare if not path.startswith(".metadata") and "valueFrom." not in path] == []
