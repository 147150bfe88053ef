"""`trainjobs.run` and `trainjobs.sweep`, called as scripts and notebooks call them."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from processes import PATIENCE_S, until

import trainjobs
from trainjobs.api.manifest import load
from trainjobs.driver.forkserver import ForkServer
from trainjobs.exits import CannotCreate, UsageError
from trainjobs.local import launching
from trainjobs.local.keywords import with_keywords

TRAIN = """
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader


def train(run):
    model = run.prepare_model(torch.nn.Linear(2, 1))
    run.track(model=model)
    for epoch in run.epochs():
        for _ in run.steps(range(2)):
            if run.config.get("hold") == epoch and run.rank == 0 and not Path("here").exists():
                Path("here").touch()
                while run._loop.coordinator.decision is None:
                    time.sleep(0.02)
        if run.config.get("broken") == epoch:
            raise LookupError("not there")
        run.report(val_loss=[0.5, 0.4, 0.45, 0.46, 0.47][min(epoch, 5) - 1])
"""
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: tiny}
spec:
  trainer: {entrypoint: tiny_train:train, maxEpochs: 9}
  stopping:
    monitor: val_loss
    criteria:
      - plateau: {patience: 2}
"""
SPAWNING = (
    TRAIN.replace(
        "run.steps(range(2))",
        "run.steps(DataLoader(torch.zeros(2, 2), num_workers=1, multiprocessing_context='spawn'))",
    )
    + """
import trainjobs

try:
    trainjobs.run("trainjob.yaml", train, launcher="inline")
except trainjobs.RunFailed as failed:
    print("failed", failed.exit_code)
"""
)
SWEEP = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainSweep
metadata: {name: few}
spec:
  maxTrials: 2
  objective: {metric: val_loss, mode: min}
  parameters: {a: {grid: [1, 2]}}
  template: {spec: {trainer: {entrypoint: tiny_train:train, maxEpochs: 2}}}
"""
PAGE = (Path(__file__).parents[2] / "docs/running.md").read_text()
SECTION = PAGE[PAGE.index("## From Python") : PAGE.index("## What programs read")]
FROM_FILE, FROM_FUNCTION, FROM_SWEEP = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a manifest and its code, where the caller is; workers' processes import what they must."""
    (tmp_path / "tiny_train.py").write_text(TRAIN)
    (tmp_path / "trainjob.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        launching, "ForkServer", lambda: ForkServer(["torch", "trainjobs.runtime.local_rank"])
    )
    return tmp_path


def done(desk, text):
    """A script that somebody has written, run."""
    (desk / "script.py").write_text(text)
    command = [sys.executable, "script.py"]
    return subprocess.run(command, cwd=desk, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_a_run_in_a_notebooks_event_loop_is_interrupted_resumed_and_stopped(desk, capsys):
    before = signal.getsignal(signal.SIGINT)

    def interrupt():
        until((desk / "here").exists)
        os.kill(os.getpid(), signal.SIGINT)

    async def cell(**more):
        settings = {"spec.trainer.config.hold": 2, "spec.trainer.numProcPerNode": 2}
        return trainjobs.run("trainjob.yaml", overrides=settings, **more)

    threading.Thread(target=interrupt).start()
    result = asyncio.run(cell())
    told = capsys.readouterr()
    assert (result.outcome, result.exit_code, result.saved) == ("Interrupted", 75, None)
    assert "Ctrl-C received" in result.decision.reason
    assert "Ctrl-C: halting at one step with a checkpoint" in told.err
    assert "val_loss 0.5" in told.out
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(CannotCreate, match="unfinished run"):
        trainjobs.run("trainjob.yaml", progress=False)
    result = asyncio.run(cell(resume=True))
    assert (result.outcome, result.exit_code) == ("EarlyStopped", 0)
    assert (result.decision.criterion, result.decision.best_epoch) == ("plateau", 2)
    assert (result.best.value, result.saved.epochs) == (0.4, 5)
    assert [row["epoch"] for row in result.run.rows] == [1, 2, 3, 4]
    assert trainjobs.run(result.run.job) == result
    assert "already finished, not trained again" in capsys.readouterr().out


def test_a_run_in_a_thread_that_fails_says_why_with_its_result(desk):
    ends = []

    def work():
        try:
            trainjobs.run(
                load(desk / "trainjob.yaml"), overrides={"spec.trainer.config.broken": 2}, progress=False
            )
        except trainjobs.RunFailed as failed:
            ends.append(failed)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (failed,) = ends
    assert (str(failed), failed.exit_code) == ("LookupError: not there", 70)
    assert (failed.result.outcome, len(failed.result.run.rows)) == ("Failed", 1)


def test_bad_input_is_told_as_on_the_command_line(desk):
    with pytest.raises(trainjobs.SpecError) as wrong:
        trainjobs.run("trainjob.yaml", overrides={"spec.trainer.maxEpochs": -1})
    assert str(wrong.value) == "overrides: spec.trainer.maxEpochs=-1: must be at least 1"
    with pytest.raises(trainjobs.UserError, match=r"reading nothing\.yaml: No such file"):
        trainjobs.run("nothing.yaml")
    with pytest.raises(UsageError, match="must be one of inline, local, ray"):
        trainjobs.run("trainjob.yaml", launcher="slurm")
    with pytest.raises(UsageError, match="choose one"):
        trainjobs.run("trainjob.yaml", resume=True, fresh=True)
    with pytest.raises(
        UsageError, match=r"<lambda>: workers cannot import it; write it at the top of a file"
    ):
        trainjobs.run("trainjob.yaml", lambda run: None)
    with pytest.raises(trainjobs.SpecError, match="must hold kind: TrainSweep"):
        trainjobs.sweep("trainjob.yaml")


def test_an_error_names_the_keywords_of_the_call_and_not_the_options_of_the_command(desk):
    with pytest.raises(CannotCreate, match=r"holds files and is no run directory.*; name another run_dir"):
        trainjobs.run("trainjob.yaml", run_dir=".")
    with pytest.raises(CannotCreate, match=r"holds files and no sweep; name another sweep_dir"):
        trainjobs.sweep(yaml.safe_load(SWEEP), sweep_dir=".")


def test_every_option_that_an_error_of_a_run_may_name_has_a_keyword():
    options = {
        option
        for package in ("local", "driver", "runs", "runtime", "sweeps")
        for path in (Path(trainjobs.__file__).parent / package).rglob("*.py")
        for option in re.findall(r"--(?:resume|fresh|set|\w+-dir|launcher \w+)", path.read_text())
    }
    assert {"--fresh", "--resume"} < options
    assert [option for option in options if "--" in with_keywords(f"{option} ")] == []


def test_a_plain_script_as_documented_gives_its_own_function_and_runs_once(desk):
    ended = done(desk, f"{TRAIN}\nprint('reached')\n{FROM_FILE}\n{FROM_FUNCTION}")
    assert "EarlyStopped 0 Best(metric='val_loss', value=0.4" in ended.stdout, ended.stderr
    assert ended.stdout.splitlines()[-1] == "once EarlyStopped 4"
    assert ended.stdout.splitlines().count("reached") == 1
    assert sorted(path.name for path in (desk / "runs").iterdir()) == ["tiny", "tiny.1"]


def test_a_script_that_multiprocessing_imports_does_not_begin_again(desk):
    ended = done(desk, SPAWNING)
    assert "put the call below if __name__" in ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "failed 1"
    assert [path.name for path in (desk / "runs").iterdir()] == ["tiny"]


def test_a_sweep_by_a_plain_script_as_documented_has_its_trials_and_the_best(desk):
    (desk / "sweep.yaml").write_text(SWEEP)
    ended = done(desk, f"{FROM_SWEEP}\nprint(rows[-1]['val_loss'])")
    assert ended.stdout.splitlines()[-2:] == ["Complete 2 {'a': 1} 0.4", "0.4"], ended.stdout + ended.stderr
