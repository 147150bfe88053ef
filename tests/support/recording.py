"""A recorded run: real events, judged by the real criteria, kept by the driver's own record."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trainjobs.api import TrainJob
from trainjobs.api.manifest import load
from trainjobs.coordination import Decision, Outcome
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import (
    Checkpointed,
    Decided,
    Event,
    Failed,
    Final,
    Halted,
    ModelSaved,
    Progress,
    Reported,
    Started,
    Starting,
)
from trainjobs.runs.recorder import RunRecorder
from trainjobs.stopping import Observation, Panel

MANIFEST = """\
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: mnist}
spec:
  trainer:
    entrypoint: train:train
    config: {hidden: 128}
    maxEpochs: 100
    numNodes: 2
  stopping:
    monitor: val_loss
    criteria:
      - plateau: {patience: 5, minDelta: 0.001}
      - threshold: {monitor: val_accuracy, mode: max, value: 0.99}
      - name: quick
        plateau: {patience: 2}
        shadow: true
      - budget: {epochs: 60}
        startAfter: {epoch: 50}
    restoreBest: true
"""

BY_STEPS = MANIFEST.replace("maxEpochs: 100", "maxSteps: 5000").replace("epochs: 60", "steps: 4500")
"""One epoch that reports every 100 steps."""

VAL_LOSS = (0.9, 0.61, 0.52, 0.47, 0.4401, 0.4252, 0.411, 0.398, 0.403, 0.4, 0.3975, 0.401, 0.412)
"""Best by a hair in epoch 11; the best that counts for the plateau is epoch 8's, so it stops after epoch 13."""

STEPS_PER_EPOCH = 70
SECONDS_PER_EPOCH = 4.5


@dataclass
class Recording:
    """One run kept in `place`; `events` is what its view was told."""

    job: TrainJob
    place: RunDirectory
    manifest: Path
    events: list[Event] = field(default_factory=list)

    def play(self, events: Iterable[Event], *, close: bool = True) -> int | None:
        """Keep the events and, unless the run still goes on, its result; return the exit code."""
        self.place.create()
        self.place.write_job(self.job)
        record = RunRecorder(self.job, self.place, self.events.append)
        for event in events:
            record.take(event)
        return int(record.close().exit_code) if close else None

    def beginning(self) -> list[Event]:
        return [Starting(2, 2), Started(1, 2, "cpu", None, 0, 100, (), 6.2)]

    def reports(self, values: Sequence[float]) -> list[Event]:
        """A progress event and a report for each epoch, judged by the job's criteria."""
        panel = Panel.of(self.job.spec.stopping)
        state, events = panel.fold(()), []
        for epoch, value in enumerate(values, start=1):
            metrics = {"train_loss": value * 0.9, "val_loss": value, "val_accuracy": 1 - value / 5}
            step, seconds = epoch * STEPS_PER_EPOCH, epoch * SECONDS_PER_EPOCH
            seen = Observation(epoch, step, seconds, metrics)
            state = panel.fold((seen,), state)
            events += [
                Progress(epoch, step - 10, STEPS_PER_EPOCH - 10, STEPS_PER_EPOCH, seconds - 0.5),
                Reported.of(seen, panel.judge(state), epoch),
            ]
        return events

    def stop(self, outcome: Outcome, reason: str, step: int, criterion: str | None = None) -> list[Event]:
        decision = Decision(outcome, criterion, reason, None, None, None, None, step, step, 1.8e9)
        return [
            Decided(decision),
            Halted(decision, {0: step, 1: step}, 41.3),
            Checkpointed(str(self.place.checkpoints / str(step)), step // STEPS_PER_EPOCH, step, 0.21),
        ]

    def by_steps(self) -> int | None:
        """A run of the manifest `BY_STEPS`, stopped by its plateau."""
        self.manifest.write_text(BY_STEPS)
        self.job = load(self.manifest)
        panel = Panel.of(self.job.spec.stopping, self.job.spec.trainer.length)
        state, reports = panel.fold(()), []
        for number, value in enumerate(VAL_LOSS, start=1):
            step, seconds = 100 * number, 10.0 * number
            seen = Observation(1, step, seconds, {"val_loss": value, "val_accuracy": 0.5}, whole=False)
            state = panel.fold((seen,), state)
            reports += [Progress(1, step, step, None, seconds), Reported.of(seen, panel.judge(state), number)]
        said = reports[-1].results[0]
        end = self.stop(Outcome.EARLY_STOPPED, said.reason, 1300, said.name)
        end.append(ModelSaved("model.pt", 1, 1100, best=True))
        return self.play([Starting(2, 2), Started(1, 2, "cpu", None, 0, None, (), 6.2, 5000), *reports, *end])

    def early_stop(self) -> int | None:
        reports = self.reports(VAL_LOSS)
        said = reports[-1].results[0]  # type: ignore[union-attr]
        assert said.stop
        end = self.stop(Outcome.EARLY_STOPPED, said.reason, len(VAL_LOSS) * STEPS_PER_EPOCH, said.name)
        best = reports[-1].best  # type: ignore[union-attr]
        kept = ModelSaved("model.pt", best.epoch, best.step, best=True)
        return self.play([*self.beginning(), *reports, *end, kept, Final({"loss": 0.405, "accuracy": 0.92})])

    def interrupt(self) -> int | None:
        end = self.stop(Outcome.INTERRUPTED, "Ctrl-C received", 3 * STEPS_PER_EPOCH + 12)
        return self.play([*self.beginning(), *self.reports(VAL_LOSS[:3]), *end])

    def fail(self) -> int | None:
        frames = '  File "train.py", line 7, in train\n    raise ValueError("bad batch")'
        failed = Failed(1, "ValueError", "bad batch", frames, 70)
        return self.play([*self.beginning(), *self.reports(VAL_LOSS[:2]), failed])


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A run that nothing was recorded of yet; the current directory is the one it lies in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    Path("train.py").write_text("def train(run): ...\n")
    manifest = Path("mnist.yaml")
    manifest.write_text(MANIFEST)
    return Recording(load(manifest), RunDirectory(Path("runs/mnist")), manifest)
