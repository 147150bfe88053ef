"""The operator's side of the contract and the pod's: neither has a name of its own."""

import ast
import re
from pathlib import Path

from trainjob_operator.trainjob.objects.job import indexed_job
from trainjob_operator.trainjob.objects.pod import environment
from trainjobs.api import pod_contract
from trainjobs.api.manifest import parse
from trainjobs.pod.identity import PodIdentity

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for top in ("trainjobs", "operator") for path in (ROOT / top).rglob("*.py"))
OURS = re.compile(r"TRAINJOBS_\w+|RAY_AUTH_\w+|/dev/termination-log|trainer|6379|6380")
JOB = parse(
    {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "namespace": "team", "uid": "0123456789ab"},
        "spec": {
            "trainer": {"entrypoint": "train:train", "maxEpochs": 1, "code": {"configMap": "mnist"}},
            "checkpoint": {"storage": {"uri": "s3://bucket/runs/"}},
        },
    }
)
SET = {each["name"] for each in environment(JOB)}


def test_the_operator_sets_what_a_pod_reads_and_nothing_else():
    assert set(PodIdentity.variables()) == SET


def test_what_a_sweeps_pods_are_told_besides():
    sweep = JOB.model_copy(update={"kind": "TrainSweep"})
    assert [each for each in environment(sweep) if each not in environment(JOB)] == [
        {"name": "TRAINJOBS_KIND", "value": "TrainSweep"}
    ]


def test_the_operators_page_lists_the_variables_and_no_other():
    page = (ROOT / "docs" / "operator.md").read_text()
    table = page.partition("| variable | is |")[2].partition("\n\n")[0]
    listed = {
        name for row in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", row.partition(" | ")[0])
    }
    assert listed == SET


def test_the_operator_asks_for_the_container_whose_exit_codes_the_job_reads():
    spec = indexed_job(JOB, "image:1")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    asked = {rule["onExitCodes"]["containerName"] for rule in spec["podFailurePolicy"]["rules"][1:]}
    assert asked == {container["name"]} == {pod_contract.CONTAINER}


def constants(path):
    """Constants of a module that are no docstrings, as text."""
    tree = ast.parse(path.read_text())
    prose = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    return [
        str(each.value) for each in ast.walk(tree) if isinstance(each, ast.Constant) and id(each) not in prose
    ]


def test_no_name_of_the_contract_is_written_anywhere_else():
    of_the_spec = {"trainer"}  # the field of that name
    assert len(SOURCES) > 100
    for path in SOURCES:
        written = {text for text in constants(path) if OURS.fullmatch(text)}
        assert path == Path(pod_contract.__file__) or written <= of_the_spec, path
