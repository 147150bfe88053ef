"""Ranks on GPUs with NCCL, on both launchers: a device each, the same weights after every disturbance, no waiting."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from devices import REHEARSAL
from processes import TRAINJOBS, follow

from trainjobs.exits import Exit
from trainjobs.runs.directory import RunDirectory

JOB = Path(__file__).with_name("job.py")
EPOCHS = 4
launchers = pytest.mark.parametrize("launcher", ["local", "ray"])


def start(tmp_path, name, ranks, *options, launcher="local", **config):
    """A run below `tmp_path`, telling events as JSON."""
    limits = {} if REHEARSAL else {"resourcesPerNode": {"limits": {"nvidia.com/gpu": ranks}}}
    trainer = {
        "entrypoint": "job:train",
        "maxEpochs": EPOCHS,
        "numProcPerNode": ranks,
        "config": config,
        **limits,
    }
    head = {"apiVersion": "trainjobs.dev/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}}
    spec = {"trainer": trainer, "checkpoint": {"everySteps": 10}, "backoffLimit": 1}
    (tmp_path / "job.py").write_text(JOB.read_text())
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**head, "spec": spec}))
    return subprocess.Popen(
        [TRAINJOBS, "run", f"{name}.yaml", "--launcher", launcher, *options, "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )


def weights(tmp_path, name):
    return torch.load(tmp_path / "runs" / name / "model.pt", weights_only=True, map_location="cpu")


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def said(told):
    """What each rank of the first attempt has printed of itself."""
    lines = [json.loads(event["text"]) for event in told if event["event"] == "Printed"]
    return {line["rank"]: line for line in reversed(lines)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, ranks):
    """A run's directory and what it told."""
    directory = tmp_path_factory.mktemp("undisturbed")
    told, code, errors = follow(start(directory, "whole", ranks))
    assert code == Exit.DONE, errors
    return directory, told


def test_each_rank_has_a_device_of_its_own(undisturbed, ranks):
    found = said(undisturbed[1])
    kind, backend = ("cpu", "gloo") if REHEARSAL else ("cuda", "nccl")
    assert sorted(found) == list(range(ranks))
    assert {line["backend"] for line in found.values()} == {backend}
    assert {line["device"].partition(":")[0] for line in found.values()} == {kind}
    if kind == "cuda":
        assert {line["current"] for line in found.values()} == set(range(ranks))


def test_what_ranks_are_forked_from_has_not_reached_for_cuda(undisturbed):
    assert {line["forked from CUDA"] for line in said(undisturbed[1]).values()} == {False}


@launchers
def test_the_whole_run_killed_amid_mixed_precision_goes_on_to_the_same_weights(
    undisturbed, tmp_path, ranks, launcher
):
    process = start(tmp_path, "cut", ranks, launcher=launcher)

    def kill(event):
        if event["event"] == "Checkpointed" and event["step"] >= 40:
            process.kill()

    _, code, _ = follow(process, kill)
    assert code == -signal.SIGKILL
    _, code, errors = follow(start(tmp_path, "cut", ranks, "--resume", launcher=launcher))
    assert code == Exit.DONE, errors
    assert same(weights(tmp_path, "cut"), weights(undisturbed[0], "whole"))


@launchers
@pytest.mark.ranks(2)
def test_a_rank_killed_amid_a_collective_is_noticed_and_costs_no_step(undisturbed, tmp_path, launcher):
    """NCCL's own time limit is ten minutes: the others are ended long before."""
    process = start(tmp_path, "lost", 2, launcher=launcher)
    pids, killed = {}, []

    def kill(event):
        if event["event"] == "Printed":
            line = json.loads(event["text"])
            pids[line["rank"]] = line["pid"]
        if event["event"] == "Checkpointed" and event["step"] >= 40 and not killed:
            killed.append(event["time"])
            os.kill(pids[1], signal.SIGKILL)

    told, code, errors = follow(process, kill)
    assert code == Exit.DONE, errors
    (again,) = (event for event in told if event["event"] == "Restarting")
    assert again["time"] - killed[0] < 60
    assert same(weights(tmp_path, "lost"), weights(undisturbed[0], "whole"))


def test_an_interruption_halts_all_ranks_at_one_step_and_a_resume_ends_with_the_same_weights(
    undisturbed, tmp_path, ranks
):
    process = start(tmp_path, "paused", ranks)
    asked = []

    def interrupt(event):
        if event["event"] == "Checkpointed" and not asked:
            asked.append(event)
            process.send_signal(signal.SIGINT)

    told, code, errors = follow(process, interrupt)
    assert code == Exit.INTERRUPTED, errors
    (halted,) = (event for event in told if event["event"] == "Halted")
    assert len(set(halted["steps"].values())) == 1
    _, code, errors = follow(start(tmp_path, "paused", ranks, "--resume"))
    assert code == Exit.DONE, errors
    assert same(weights(tmp_path, "paused"), weights(undisturbed[0], "whole"))


@pytest.mark.cuda
def test_no_step_makes_the_host_wait_for_the_device(tmp_path, ranks):
    """Where torch would synchronise, it raises: in the training function's own steps, and in ours between them."""
    _, code, errors = follow(start(tmp_path, "strict", ranks, strict=True))
    assert code == Exit.DONE, errors


@pytest.mark.cuda
def test_the_devices_are_free_when_the_run_has_ended(undisturbed):
    ours = {line["pid"] for line in said(undisturbed[1]).values()}
    query = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
    shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    assert ours.isdisjoint(map(int, filter(str.isdecimal, shown)))
    assert RunDirectory(undisturbed[0] / "runs" / "whole").result()["state"] == "Finished"
