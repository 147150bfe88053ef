"""What the API server takes of a TrainSweep, and what of its status."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from pages import commands
from sweep_manifests import sweep_manifest
from testbed.kubectl import KubectlError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/sweeps.md"


def refusal(team, document, *options) -> str:
    with pytest.raises(KubectlError) as caught:
        team("create", "--dry-run=server", "--filename=-", *options, stdin=json.dumps(document))
    return caught.value.stderr


def says(team, **status) -> None:
    patch = json.dumps({"status": status})
    team("patch", "tsweep", "tuned", "--subresource=status", "--type=merge", f"--patch={patch}")


def test_a_sweep_is_taken_and_reads_well(team):
    team.apply(sweep_manifest())
    best = {"trial": "0002", "metric": "val_loss", "objective": "0.125", "parameters": []}
    says(team, trials={"total": 6, "ended": 3, "pruned": 1}, best=best)
    lines = team("get", "tsweep").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "TRIALS", "ENDED", "PRUNED", "BEST", "OBJECTIVE", "AGE"]
    assert lines[1].split()[:6] == ["tuned", "6", "3", "1", "0002", "0.125"]


def test_the_pages_commands_work(team):
    kubectl_lines = [rest for program, *rest in commands(PAGE) if program == "kubectl"]
    assert len(kubectl_lines) == 2
    said = [team(*(str(ROOT / word) if "/" in word else word for word in line)) for line in kubectl_lines]
    assert said[0] == "trainsweep.trainjobs.dev/digits-sweep created\n"
    assert "digits-sweep" in said[1]


REFUSED = {
    "more pods than a TrainJob may have": (
        sweep_manifest(trainer={"numNodes": 5001}),
        "must be at most 10000 pods in all: parallelTrials times template.spec.trainer.numNodes",
    ),
    "two kinds of range": (
        sweep_manifest(
            parameters={"a": {"choice": [1], "uniform": {"min": 0, "max": 1}}},
        ),
        "must validate one and only one schema (oneOf)",
    ),
    "a search of two kinds": (sweep_manifest(search={"random": {}, "grid": {}}), "must name at most one of"),
    "an unknown field": (sweep_manifest(trails=3), "unknown field"),
    "a template's host network": (
        sweep_manifest(template={"podTemplate": {"spec": {"hostNetwork": True}}}),
        "ask the administrator for podTemplates.allowHostNamespaces",
    ),
    "its name": (sweep_manifest("2-sweeps"), "must be lower-case letters, digits and '-'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_validate_refuses_the_api_server_refuses(team, case):
    document, message = REFUSED[case]
    assert message in refusal(team, document)


def test_after_the_start_only_the_verbs_and_limits_change(team):
    team.apply(sweep_manifest())
    says(team, startTime="2026-01-01T00:00:00Z")
    for fixed in ({"maxTrials": 7}, {"seed": 3}, {"template": {"spec": {"trainer": {"maxEpochs": 9}}}}):
        with pytest.raises(KubectlError, match="cannot change after the start: make a new TrainSweep"):
            team("patch", "tsweep", "tuned", "--type=merge", f"--patch={json.dumps({'spec': fixed})}")
    for free in ({"suspend": True}, {"stop": {"reason": "enough"}}, {"ttlSecondsAfterFinished": 5}):
        team("patch", "tsweep", "tuned", "--type=merge", f"--patch={json.dumps({'spec': free})}")


@pytest.mark.parametrize(
    "status",
    [
        {"latest": [{"trial": "1", "state": "Finished"}] * 17},
        {"summary": "x" * 2049},
        {"trials": {"ended": -1}},
        {"best": {"trial": "1", "metric": "m", "objective": "not a number"}},
    ],
)
def test_a_status_is_bounded(team, status):
    team.apply(sweep_manifest())
    with pytest.raises(KubectlError, match=r"Invalid value|Too (many|long)"):
        says(team, **status)


def conditions(kind: str, reason: str, message: str):
    now = "2026-01-01T00:00:00Z"
    first = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
    return {"conditions": [first]}


ENDS = {
    "Complete": ("Finished", "all 6 trials have ended", 0),
    "Failed": ("UserError", "4 trials have failed, more than maxFailedTrials 3", 70),
}


@pytest.mark.parametrize("end", ENDS)
def test_who_applies_a_sweep_and_who_watches_it_read_the_same_to_its_end(team, tmp_path, end):
    reason, message, code = ENDS[end]
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(sweep_manifest()))
    with followed(team, "sweep", str(file), "--cluster") as applying:
        team.wait("tsweep/tuned", "--for=create")
        with followed(team, "watch", "trainsweep/tuned") as watching:
            pruned = {"trial": "0002", "state": "Pruned", "epoch": 3, "objective": "0.5", "reason": "worse"}
            says(team, latest=[pruned, {"trial": "0001", "state": "Running"}])
            for process in (applying, watching):
                told = iter(process.stdout.readline, "")
                assert "trial 0002  Pruned at epoch 3, objective 0.5: worse\n" in told
            best = {"trial": "0001", "metric": "val_loss", "objective": "0.125"}
            trials = {"total": 6, "ended": 6}
            known = {**conditions(end, reason, message), "best": best, "trials": trials}
            says(team, **known, completionTime="2026-01-01T00:00:00Z")
            rest = [process.communicate(timeout=60)[0] for process in (applying, watching)]
    last = f"{reason}  6 of 6 trials ended  best val_loss 0.125 (trial 0001)\n"
    applied, watched = (text[text.index(last) :] for text in rest)
    assert applied == watched
    assert f"\n{message}\n" in applied
    assert (applying.returncode, watching.returncode) == (code, code)


@contextmanager
def followed(team, *words):
    """A command that goes on until the sweep has ended."""
    environment = {**os.environ, "KUBECONFIG": str(team.kubeconfig), "COLUMNS": "200"}
    command = [sys.executable, "-m", "trainjobs", *words, "-n", team.namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_line_says_what_the_api_server_refuses(team, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(sweep_manifest(trainer={"numNodes": 5001})))
    command = [sys.executable, "-m", "trainjobs", "sweep", str(file), "--cluster", "-n", team.namespace]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "spec.parallelTrials: 2: of 5001 nodes each are more than 10000 pods" in done.stderr


def test_the_commands_take_a_sweep_by_its_kind(team, tmp_path):
    team.create(sweep_manifest())

    def trainjobs(*arguments):
        command = [sys.executable, "-m", "trainjobs", *arguments, "-n", team.namespace]
        environment = {**os.environ, "KUBECONFIG": str(team.kubeconfig), "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path, timeout=120
        )

    says(team, trials={"total": 6, "ended": 2, "running": 2})
    assert f"{team.namespace}/trainsweep/tuned  New" in trainjobs("list").stdout
    explained = trainjobs("explain", "trainsweep/tuned").stdout
    assert "2 of 6 ended: 2 running" in explained
    assert trainjobs("suspend", "tsweep/tuned").returncode == 0
    assert team.get("tsweep/tuned")["spec"]["suspend"] is True
    refused = trainjobs("suspend", "job/tuned")
    assert (refused.returncode, refused.stderr) == (
        64,
        "error: job/tuned: there is no kind job: trainjob/tuned or trainsweep/tuned\n",
    )
    absent = trainjobs("explain", "tuned")
    assert absent.returncode == 66
    assert f"there is no TrainJob tuned in namespace {team.namespace}" in absent.stderr
    deleted = trainjobs("delete", "trainsweep/tuned")
    assert deleted.stderr == f"deleted TrainSweep {team.namespace}/tuned; its storage is as it was\n"
