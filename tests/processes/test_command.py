"""`trainjobs run` as a person uses it on a bad day: the real command, the real driver, the local launcher."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from processes import PATIENCE_S, until
from torch import nn

from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Printed

SUPPORT = Path(__file__).parent.parent / "support"
TRAIN = """
from pathlib import Path

import torch
from processes import until
from torch import nn

from trainjobs.runtime import Run


def train(run: Run) -> None:
    torch.manual_seed(0)
    model = run.prepare_model(nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    run.track(model=model, optimizer=optimizer)
    for epoch in run.epochs():
        for x in run.steps([torch.ones(4, 2)] * 5):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            if run.step == run.config.get("halt_at") and not Path("halt").exists():
                Path("halt").touch()
                until(lambda: Path("go").exists() or run._loop.coordinator.decision)
        run.report(val_loss=[0.9, 0.5, 0.8, 0.7, 0.1][epoch - 1])
"""
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: tiny}
spec:
  trainer: {entrypoint: train:train, maxEpochs: 3}
  stopping:
    monitor: val_loss
    criteria: [{plateau: {patience: 50}}]
    restoreBest: true
"""


@dataclass
class Desk:
    """A directory with a manifest and its training code."""

    path: Path

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, SUPPORT / "localcli.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": f"{SUPPORT}:{os.environ.get('PYTHONPATH', '')}", **environment},
        )

    def run(self, *arguments):
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err

    @property
    def place(self):
        return RunDirectory(self.path / "runs/tiny")

    @property
    def epochs(self):
        return [seen.epoch for seen in self.place.history()]


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "tiny.yaml").write_text(MANIFEST)
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A desk with a run that trained its 3 epochs; the best one is the second."""
    path = tmp_path_factory.mktemp("finished")
    (path / "train.py").write_text(TRAIN)
    (path / "tiny.yaml").write_text(MANIFEST)
    desk = Desk(path)
    assert desk.run("run", "tiny.yaml")[0] == 0
    return desk


@pytest.fixture
def done(finished, tmp_path):
    """A copy of `finished`."""
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)


def setting(field, value):
    return ("--set", f"spec.{field}={value}")


def test_a_finished_run_is_trained_on_from_its_last_weights(done):
    assert torch.load(done.place.model, weights_only=True)["weight"].tolist() == trained(10)
    code, out, err = done.run("run", "tiny.yaml", "--resume", *setting("trainer.maxEpochs", 5))
    assert (code, done.epochs) == (0, [1, 2, 3, 4, 5])
    assert "resumed from step 15" in out
    assert "with the last weights, not the best" in err
    assert torch.load(done.place.model, weights_only=True)["weight"].tolist() == trained(25)


def trained(steps):
    """The weights after so many steps without us."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(4, 2)).square().mean().backward()
        optimizer.step()
    return model.weight.tolist()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_workers_start_ends_at_once_and_the_next_run_needs_no_flag(desk, number):
    mark = desk.path / "starting"
    with desk.start("run", "tiny.yaml", SLOW_START=str(mark)) as process:
        until(mark.exists)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 75
    assert "left before the workers had started; there is no checkpoint yet" in err
    assert "--resume" not in out + err
    code, out, _ = desk.run("explain", "runs/tiny")
    assert (code, out.splitlines()[0]) == (
        0,
        "Interrupted before the first report; there is no checkpoint, so it begins anew",
    )
    assert "while the workers were starting" in out
    assert "run FILE\n" in out
    assert desk.run("run", "tiny.yaml")[0] == 0
    assert desk.epochs == [1, 2, 3]


def test_a_signal_while_a_resume_starts_leaves_the_run_where_it_was(done):
    mark = done.path / "starting"
    more = setting("trainer.maxEpochs", 4)
    with done.start("run", "tiny.yaml", "--resume", *more, SLOW_START=str(mark)) as process:
        until(mark.exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 75
    assert "--resume goes on from the last checkpoint" in err
    assert (
        "after the report of epoch 3 of 4, at step 15; it can be resumed from its last checkpoint"
        in done.run("explain", "runs/tiny")[1]
    )
    assert done.run("run", "tiny.yaml", "--resume", *more)[0] == 0
    assert done.epochs == [1, 2, 3, 4]


def test_a_run_is_stopped_from_another_terminal_by_its_lock(desk):
    with desk.start("run", "tiny.yaml", *setting("trainer.config.halt_at", 7)) as process:
        until((desk.path / "halt").exists)
        command = documented("How to stop from another terminal", "console").removeprefix("$ ")
        subprocess.run(["bash", "-c", command.replace("digits", "tiny")], cwd=desk.path, check=True)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 75
    assert "Interrupted in epoch 2 of 3, at step " in out
    assert desk.run("run", "tiny.yaml", "--resume", *setting("trainer.config.halt_at", 7))[0] == 0


def test_a_run_is_completed_from_another_terminal(desk):
    endless = setting("trainer.maxEpochs", 1_000_000)
    code = (desk.path / "train.py").read_text().replace("[0.9, 0.5, 0.8, 0.7, 0.1][epoch - 1]", "1.0")
    (desk.path / "train.py").write_text(code)
    with desk.start("run", "tiny.yaml", *endless, *setting("trainer.config.halt_at", 7)) as process:
        until((desk.path / "halt").exists)
        code, out, err = desk.run("stop", "tiny", "--reason", "good enough")
        process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, code) == (0, 0)
    assert f"asked process {process.pid} to stop" in err
    assert re.search(r"Stopped on request .*\nhalted: step \d+ on the only rank", out)
    assert desk.place.result()["stopping"]["reason"] == "good enough"
    assert desk.run("stop", "runs/tiny")[1] == out  # it is complete


def test_what_a_run_prints_is_followed_from_another_terminal_to_its_end(desk):
    code = (desk.path / "train.py").read_text().replace("for epoch in", 'print("hello")\n    for epoch in')
    (desk.path / "train.py").write_text(code)
    with desk.start("run", "tiny.yaml", *setting("trainer.config.halt_at", 7)) as process:
        until((desk.path / "halt").exists)
        until(lambda: any(isinstance(event, Printed) for event in desk.place.events()))
        assert desk.run("logs", "tiny")[1].splitlines() == ["rank 0: hello"]
        with desk.start("logs", "tiny", "--rank", "0", "--follow") as follower:
            assert follower.stdout.readline() == "hello\n"
            (desk.path / "go").touch()
            assert follower.communicate(timeout=PATIENCE_S) == ("", "")
        process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, follower.returncode) == (0, 0)


def test_a_run_whose_last_checkpoint_is_gone_is_not_begun_anew_in_silence(done):
    shutil.rmtree(done.place.checkpoints)
    code, _, err = done.run("run", "tiny.yaml", "--resume", *setting("trainer.maxEpochs", 5))
    assert code == 66
    assert "its last checkpoint is gone" in err
    assert done.epochs == [1, 2, 3]


def test_a_new_run_begins_with_the_weights_of_an_old_one_and_a_resume_with_its_own(done):
    weights = done.place.model.rename(done.path / "model.pt")
    (done.path / "warm.py").write_text(documented("How to go on after the end", "python"))
    warm = (
        "--run-dir",
        "warm",
        *setting("trainer.entrypoint", "warm:train"),
        *setting("trainer.config.weights", weights),
    )
    assert done.run("run", "tiny.yaml", *warm, *setting("trainer.maxEpochs", 2))[0] == 0
    place = RunDirectory(done.path / "warm")
    assert torch.load(place.model, weights_only=True)["weight"].tolist() == trained(10 + 10)
    assert done.run("run", "tiny.yaml", *warm, *setting("trainer.maxEpochs", 3), "--resume")[0] == 0
    assert torch.load(place.model, weights_only=True)["weight"].tolist() == trained(10 + 15)


def test_a_debugger_behind_a_port_stops_the_training_function(desk):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = documented("Debuggers and profilers", "python") + TRAIN.replace(
        "run.report(", f"debug({port})\n        run.report(", 1
    )
    (desk.path / "train.py").write_text(code)
    with desk.start("run", "tiny.yaml", *setting("trainer.maxEpochs", 1)) as process:
        until(lambda: answers(port, b"p 'at step', run.step\nc\n").find(b"('at step', 5)") >= 0)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def answers(port, commands):
    try:
        with socket.create_connection(("127.0.0.1", port)) as debugger:
            debugger.sendall(commands)
            debugger.settimeout(PATIENCE_S)
            return b"".join(iter(lambda: debugger.recv(4096), b""))
    except ConnectionRefusedError:
        return b""


def documented(section, language):
    """The first block in this language in a section of docs/running.md."""
    page = (SUPPORT.parent.parent / "docs/running.md").read_text()
    text = page[page.index(f"\n## {section}\n") :]
    return re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
