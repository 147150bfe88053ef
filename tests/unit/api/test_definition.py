"""The generated CustomResourceDefinition: up to date, small, and of the form that API servers demand."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from trainjobs.api.crd.definition import definition, text

FILE = Path(__file__).parents[3] / "manifests/crds/trainjobs.trainjobs.dev.yaml"
ROOT = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


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


def test_every_field_is_described():
    bare = [
        path
        for path, schema in nodes(ROOT)
        if path and not path.endswith("[]") and not member(path) and "description" not in schema
    ]
    assert [path for path in bare if not path.startswith(".metadata") and "valueFrom." not in path] == []
