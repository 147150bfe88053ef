"""The main job on Ray, as a user runs it: real images, an early stop, an interruption, a killed worker."""

import os
import signal

import psutil
import pytest
import torch
from processes import follow, start

from trainjobs.exits import Exit
from trainjobs.runs.directory import RunDirectory


def outcome(run_dir):
    model = torch.load(run_dir / "model.pt", weights_only=True)
    history = [(seen.epoch, seen.step, dict(seen.metrics)) for seen in RunDirectory(run_dir).history()]
    return {name: value.tolist() for name, value in model.items()}, history


def test_the_demo_stops_early_on_real_images_and_its_result_says_why(undisturbed):
    run_dir, _ = undisturbed
    result = RunDirectory(run_dir).result()
    stopping, accounting = result["stopping"], result["accounting"]
    assert result["state"] == "EarlyStopped"
    assert (stopping["criterion"], stopping["metric"]) == ("plateau", "val_loss")
    assert float(stopping["value"]) >= stopping["best"] - 0.001
    assert stopping["haltedSteps"] == {"0": stopping["decidedAtStep"], "1": stopping["decidedAtStep"]}
    assert accounting["epochsSaved"] == 40 - result["training"]["epoch"] > 0
    assert accounting["secondsSaved"] > 0
    assert result["finalMetrics"]["test_accuracy"] > 0.95


def test_the_model_kept_is_the_best_one(undisturbed):
    run_dir, _ = undisturbed
    best = RunDirectory(run_dir).result()["training"]["best"]
    kept = torch.load(run_dir / "model.pt", weights_only=True)
    files = sorted((run_dir / "checkpoints").glob(f"*-report-{best['epoch']:05d}.pt"))
    saved = torch.load(files[0], weights_only=True)["objects"]["model"]
    assert all(torch.equal(kept[name], saved[name]) for name in saved)


@pytest.mark.parametrize("disturbance", ["SIGTERM", "a killed worker"])
def test_a_disturbed_run_ends_as_the_undisturbed_one(undisturbed, tmp_path, disturbance):
    run_dir = tmp_path / "run"
    process = start(run_dir)
    done = []

    def disturb(event):
        if event["event"] != "Reported" or event["observation"]["epoch"] != 3 or done:
            return
        done.append(event)
        if disturbance == "SIGTERM":
            process.terminate()
        else:
            os.kill(a_worker_of(process.pid), signal.SIGKILL)

    told, code, errors = follow(process, disturb)
    if disturbance == "SIGTERM":
        assert code == Exit.INTERRUPTED
        assert "checkpointing" in errors
        halted = next(event for event in told if event["event"] == "Halted")
        assert len(set(halted["steps"].values())) == 1
        _, code, errors = follow(start(run_dir, "--resume"))
    else:
        assert [event["attempt"] for event in told if event["event"] == "Restarting"] == [2]
        assert errors == ""  # the loss is told above, and Ray adds no words of its own
    assert code == Exit.DONE
    assert outcome(run_dir) == outcome(undisturbed[0])


def a_worker_of(driver):
    """The process id of one training worker, by the name that Ray gives to its process."""
    family = psutil.Process(driver).children(recursive=True)
    return next(child.pid for child in family if "RayTrainWorker" in " ".join(child.cmdline()))


def test_a_finished_run_started_again_answers_at_once(undisturbed):
    run_dir, _ = undisturbed
    before = outcome(run_dir)
    told, code, errors = follow(start(run_dir))
    assert code == Exit.DONE
    assert [event["event"] for event in told] == ["Result"]
    assert "already finished" in errors
    assert outcome(run_dir) == before


@pytest.fixture(scope="session")
def hurried(tmp_path_factory):
    """A run of a manifest for GPUs on a machine without any, told twice to end as soon as it trains: what it had told,
    its exit code, and the processes that it had."""
    limits = 'spec.trainer.resourcesPerNode.limits["nvidia.com/gpu"]=1'
    run_dir = tmp_path_factory.mktemp("hurried") / "run"
    process = start(run_dir, "--set", limits, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    family = []

    def impatient(event):
        if event["event"] == "Started":
            family.extend(psutil.Process(process.pid).children(recursive=True))
            process.send_signal(signal.SIGINT)
            assert "Ctrl-C again leaves at once" in process.stderr.readline()
            process.send_signal(signal.SIGINT)

    told, code, _ = follow(process, impatient)
    return told, code, family


def test_a_second_signal_leaves_at_once_and_leaves_no_process_behind(hurried):
    _, code, family = hurried
    assert code == Exit.KILLED
    assert family
    assert psutil.wait_procs(family, timeout=60)[1] == []


def test_a_manifest_for_gpus_trains_on_the_cpu_where_there_are_none(hurried):
    told, *_ = hurried
    assert [event["device"] for event in told if event["event"] == "Started"] == ["cpu"]
