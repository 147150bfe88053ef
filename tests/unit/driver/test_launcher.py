"""What crosses from the driver to its workers, as Ray carries it: pickled here, read in a process of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import blocks
from ray import cloudpickle
from specifications import criteria, defaults

import manifests
from trainjobs.api.manifest import load
from trainjobs.api.stopping import Criterion
from trainjobs.runs.attempt import Setup, written
from trainjobs.runs.channel import Address

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*/trainjob.yaml"))
DOCUMENTED = [yaml.safe_load(block)["stopping"] for block in blocks(ROOT / "docs" / "criteria.md", "yaml")]
READER = """
import pickle, sys
while size := sys.stdin.buffer.read(8):
    setup = pickle.loads(sys.stdin.buffer.read(int.from_bytes(size, "big")))
    said = repr((setup, setup.spec)).encode()
    sys.stdout.buffer.write(len(said).to_bytes(8, "big") + said)
    sys.stdout.buffer.flush()
"""

leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False)
config = st.recursive(
    leaves.filter(lambda leaf: leaf not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def elsewhere():
    """Sends a setup to another process, and gives back what it is there."""
    with subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def send(setup):
            pickled = cloudpickle.dumps(setup)
            process.stdin.write(len(pickled).to_bytes(8, "big") + pickled)
            process.stdin.flush()
            size = int.from_bytes(process.stdout.read(8), "big")
            return process.stdout.read(size).decode()

        yield send
        process.stdin.close()


def crossing(spec):
    return Setup(written(spec), ROOT, "s3://runs", Address("127.0.0.1", 7, b"key"), 1, 0.5)


def job(stopping, settings=None):
    return manifests.job(trainer={"config": settings or {}}, stopping=stopping)


def arrives(elsewhere, spec):
    setup = crossing(spec)
    return elsewhere(setup) == repr((setup, spec))


@pytest.mark.parametrize("stopping", DOCUMENTED)
def test_every_example_of_the_docs_reaches_the_workers(elsewhere, stopping):
    assert arrives(elsewhere, job({"monitor": "val_loss", **stopping}).spec)


def test_the_docs_have_an_example_of_every_family_and_composition():
    shown = {key for stopping in DOCUMENTED for criterion in stopping["criteria"] for key in criterion}
    keys = {Criterion.model_fields[name].alias for name in Criterion.alternatives()}
    assert keys <= shown | {"not"}
    assert "not" in str(DOCUMENTED)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_every_example_manifest_reaches_the_workers(elsewhere, file):
    assert arrives(elsewhere, load(file).spec)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    several=st.lists(criteria, max_size=4),
    above=defaults,
    free=st.dictionaries(st.text(), config, max_size=3),
)
def test_whatever_a_manifest_may_say_reaches_the_workers(elsewhere, several, above, free):
    assert arrives(elsewhere, job({"monitor": "a", **above, "criteria": several}, free).spec)


def test_a_setup_knows_its_own_spec_and_no_other():
    one = crossing(job({}).spec)
    other = replace(one, manifest=written(job({"monitor": "other"}).spec))
    assert (one.spec.stopping.monitor, other.spec.stopping.monitor) == (None, "other")
