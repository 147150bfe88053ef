"""`--launcher inline`: the one rank in the command's own process, at the terminal of whoever debugs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from pstats import Stats

import pytest
import torch
from processes import PATIENCE_S, TRAINJOBS, until
from terminal import CTRL_C, Terminal
from torch import nn

from trainjobs.runs.directory import RunDirectory

SUPPORT = Path(__file__).parent.parent / "support"
TRAIN = """
import sys
from pathlib import Path

import torch
from processes import until
from torch import nn
from torch.utils.data import DataLoader


def hold(run):
    "Here the run waits for the signal that a test gives it."
    here = Path(f"here {run.step}")
    if run.step in run.config.get("hold", []) and not here.exists():
        here.touch()
        until(lambda: run._loop.coordinator.decision is not None)


def train(run):
    torch.manual_seed(0)
    model = run.prepare_model(nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    run.track(model=model, optimizer=optimizer)
    print("hello from", sys.argv[0])
    data = torch.randn(5, 4, 2, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(data, batch_size=None, num_workers=1, generator=torch.Generator())
    for epoch in run.epochs():
        for x in run.steps(loader):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            run.log(loss=loss.detach())
            hold(run)
        if run.config.get("debug") == epoch:
            breakpoint()
        if run.config.get("broken") == epoch:
            raise LookupError("not there")
        run.report()
"""
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: tiny}
spec:
  backoffLimit: 3
  trainer: {entrypoint: code:train, maxEpochs: 3}
  stopping: {monitor: loss}
"""
INLINE = [TRAINJOBS, "run", "tiny.yaml", "--launcher", "inline"]
LOCAL = [sys.executable, SUPPORT / "localcli.py", "run", "tiny.yaml", "--launcher", "local"]


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "code.py").write_text(TRAIN)
    (tmp_path / "tiny.yaml").write_text(MANIFEST)
    return tmp_path


def at(desk):
    """How a program is started at the desk."""
    return {"cwd": desk, "env": {**os.environ, "PYTHONPATH": f"{SUPPORT}:{os.environ.get('PYTHONPATH', '')}"}}


def config(**values):
    return [
        word for name, value in values.items() for word in ("--set", f"spec.trainer.config.{name}={value}")
    ]


def done(desk, *command):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **at(desk)
    )


def trained():
    """The weights after three epochs without us."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for x in [*torch.randn(5, 4, 2, generator=torch.Generator().manual_seed(1))] * 3:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return model.state_dict()


def test_a_debugger_has_the_terminal_and_ctrl_c_and_whoever_quits_it_may_resume(desk):
    with Terminal([*INLINE, *config(debug=2, hold="[11]")], **at(desk)) as terminal:
        assert "\nhello from " in terminal.read_until("(Pdb) ")
        terminal.type("p 'at step', run.step\n")
        terminal.read_until("('at step', 10)\n(Pdb) ")
        terminal.interrupt_at_prompt()
        terminal.read_until("--KeyboardInterrupt--\n(Pdb) ")
        terminal.type("c\n")
        until((desk / "here 11").exists)
        terminal.type(CTRL_C)
        terminal.read_until("Program interrupted. (Use 'cont' to resume).")
        terminal.type("q\n")
        assert "Interrupted after the report of epoch 2 of 3" in terminal.read_until("Next  ")
        assert terminal.exit_code() == 75
    resumed = done(desk, *INLINE, "--resume", *config(debug=2, hold="[11]"))
    assert (resumed.returncode, "Trained all 3 epochs" in resumed.stdout) == (0, True)


def test_a_run_goes_from_launcher_to_launcher_and_ends_with_the_same_weights(desk):
    """Though Ctrl-C is sent to the loader's process, too."""
    settings = config(hold="[7,11]")
    for launcher, step, options in ((INLINE, 7, []), (LOCAL, 11, ["--resume"])):
        with Terminal([*launcher, *settings, *options], **at(desk)) as terminal:
            until((desk / f"here {step}").exists)
            terminal.type(CTRL_C)
            terminal.read_until("Ctrl-C again leaves at once")
            assert terminal.exit_code() == 75, terminal.text
            assert "it can be resumed" in terminal.text
            assert launcher is LOCAL or terminal.text.count("Ctrl-C again leaves at once") == 1
    ended = done(desk, *INLINE, *settings, "--resume", "--output", "json")
    assert (ended.returncode, json.loads(ended.stdout.splitlines()[-1])["event"]) == (0, "Result")
    assert "hello from" in ended.stderr
    place = RunDirectory(desk / "runs/tiny")
    assert [seen.step for seen in place.history()] == [5, 10, 15]
    torch.testing.assert_close(torch.load(place.model, weights_only=True), trained(), rtol=0, atol=0)


def test_an_error_ends_the_run_with_its_traceback_once_and_a_profiler_has_the_training_function(desk):
    profiled = [sys.executable, "-m", "cProfile", "-o", "profile", "-m", "trainjobs", *INLINE[1:]]
    told = done(desk, *profiled, *config(broken=2)).stdout
    assert RunDirectory(desk / "runs/tiny").result()["failure"]["exitCode"] == 70  # the profiler's own is 0
    assert told.count('raise LookupError("not there")') == told.count("Traceback") == 1
    code = str(desk / "code.py")
    assert "train" in [name for file, _, name in Stats(str(desk / "profile")).stats if file == code]
