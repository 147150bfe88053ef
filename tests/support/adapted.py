"""Programs that another framework drives, under torchrun, and what they leave behind."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from trainjobs import load_run
from trainjobs.cli.app import app
from trainjobs.runs.directory import RunDirectory
from trainjobs.stopping import Panel
from trainjobs.stopping.replay import replay

ROOT = Path(__file__).parents[2]
NAN = float("nan")
INF = float("inf")

FALLING = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2]
TURNING = [1.0, 0.8, 0.7, 0.75, 0.72, 0.71, 0.9, 0.6]
CREEPING = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65]
FLAT = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
BROKEN = [1.0, 0.8, NAN, 0.7, 0.6, 0.5, 0.4, 0.3]
ENDLESS = [1.0, 0.9, INF, 0.8, 0.7, 0.6, 0.5, 0.4]


def torchrun(program, place, *arguments, ranks=2):
    """Run a program in `place` on so many ranks; what each of them wrote to `rank-N.json` there."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    done = subprocess.run(
        [*torchrun, program, *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return told(place, ranks)


def compare(framework, cases, place):
    """Run a framework's curves, and give what compares a case's stops."""
    (place / "cases.json").write_text(json.dumps(cases))
    answers = torchrun(ROOT / f"tests/adapters/programs/{framework}_curves.py", place, "cases.json")

    def check(name, *, differs=False):
        first, *others = (answer[name] for answer in answers)
        assert others == [first]
        assert differs or first["ours"] == first["theirs"]
        kept = Kept(place / "runs" / name)
        kept.check()
        assert set(kept.steps.values()) == {first["ours"]}
        return first

    return check


def program_of(heading, place):
    """The program below a heading of docs/adapters.md, as a file in `place`."""
    section = re.split(r"^## ", (ROOT / "docs/adapters.md").read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{heading}\n")]
    program = place / "program.py"
    program.write_text(re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1])
    return program


def environment():
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "tests/support"))
    return {
        **os.environ,
        "PYTHONPATH": paths,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "KERAS_BACKEND": "torch",
        "HF_HUB_OFFLINE": "1",
        "RAY_ADDRESS": "local",
        "TOKENIZERS_PARALLELISM": "false",
    }


CASES = {
    "plateau": (TURNING, {"patience": 2}),
    "patience of 0": (TURNING, {"patience": 0}),
    "margin": (CREEPING, {"patience": 3, "min_delta": 0.12}),
    "never": (FALLING, {"patience": 2}),
    "larger is better": ([-value for value in TURNING], {"patience": 2, "mode": "max"}),
    "NaN counts": (BROKEN, {"patience": 1, "check_finite": False}),
    "flat": (FLAT, {"patience": 3}),
}
"""A curve by epochs, and arguments by the names that Lightning gives them."""


def tell(rank, what):
    """Of a program: leave its answer for the test."""
    Path(f"rank-{rank}.json").write_text(json.dumps(what))


def told(place, ranks=2):
    return [
        json.loads(path.read_text())
        for rank in range(ranks)
        if (path := place / f"rank-{rank}.json").exists()
    ]


@dataclass(frozen=True)
class Kept:
    """A run directory as the commands read it."""

    path: Path

    @property
    def result(self):
        return RunDirectory(self.path).result()

    @property
    def steps(self):
        """Where each rank halted."""
        return self.result["stopping"]["haltedSteps"]

    @property
    def decision(self):
        decisions = RunDirectory(self.path).decisions()
        return decisions[-1] if decisions else None

    @property
    def curve(self):
        return [seen.metrics for seen in RunDirectory(self.path).history()]

    def replayed(self):
        """Where the criteria stop the history, by a fold of their own; None: nowhere."""
        job = RunDirectory(self.path).job()
        panel = Panel.of(job.spec.stopping, job.spec.trainer.length)
        return replay(panel, RunDirectory(self.path).history()).stopped_by

    def check(self):
        """All commands read it, and a replay comes to the same verdict."""
        manifest, page = str(self.path / "trainjob.yaml"), str(self.path / "report.html")
        for name, *options in (["explain"], ["replay", "--criteria", manifest], ["report", "--output", page]):
            done = CliRunner().invoke(app, [name, str(self.path), *options])
            assert done.exit_code == 0, done.output
        assert len(set(self.steps.values())) == 1
        stopped, decision = self.replayed(), self.decision
        if stopped is None:
            assert decision is None
            return None
        assert (stopped.name, stopped.stop.reason) == (decision["criterion"], decision["reason"])
        assert load_run(self.path).history[-1].epoch == stopped.stop.epoch
        return stopped.stop.epoch

    def check_stopped_early(self):
        assert self.check() is not None
        assert self.result["state"] == "EarlyStopped"
