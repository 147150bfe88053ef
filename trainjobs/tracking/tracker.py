"""What every tracker is told of a run."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from trainjobs.api.reasons import RunOutcome
from trainjobs.runs.directory import write_whole
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.storage import local_root

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.runs import events
    from trainjobs.runs.run_state import RunState
    from trainjobs.stopping import Best

Setting: TypeAlias = bool | int | float | str
"""A value that every tracker can compare."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as trackers know it."""

    name: str
    settings: Mapping[str, Setting]
    """What it is compared by: a trial's parameters, or else the trainer's `config`."""
    folder: Path
    """Where its own files are kept, from one attempt to the next."""
    remote: str = ""
    """The URI at which they are kept as well, where the folder is a pod's own."""

    @classmethod
    def of(
        cls, job: TrainJob, directory: Path, storage: str, parameters: Mapping[str, Any] | None
    ) -> TrackedRun:
        """A run in `directory`, or a pod's on its storage; `parameters` are a trial's."""
        compared = job.spec.trainer.config if parameters is None else parameters
        folder = local_root(storage) if storage else directory.absolute()
        remote = storage if folder is None else ""
        return cls(job.metadata.name, dict(_flat(compared)), folder or directory.absolute(), remote)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended, or has been halted."""

    outcome: RunOutcome
    reason: str
    """A sentence with the numbers."""
    step: int
    best: Best | None
    tests: Mapping[str, float]
    """The metrics measured once, after the end."""
    stopped_by: tuple[str, float] | None = None
    """The metric that a criterion has stopped it by, and its value."""

    @classmethod
    def of(cls, job: TrainJob, state: RunState) -> Ending:
        """The ending of a run in this state."""
        decision, failure = state.decision, state.failure
        outcome = JobStatus(job, state).outcome
        reason = decision.reason if decision else state.finish(job.spec.trainer.length)
        stopped_by = None
        if decision and decision.metric is not None and decision.value is not None:
            stopped_by = (decision.metric, decision.value)
        told = failure.message if failure else reason
        return cls(outcome, told, state.step, state.best, state.tests or {}, stopped_by)

    @property
    def sentence(self) -> str:
        """All of it in words."""
        best = self.best
        where = (
            f"; best {best.metric} {best.value:.6g} at step {best.step:,} (epoch {best.epoch:,})"
            if best
            else ""
        )
        return f"{self.outcome} at step {self.step:,}: {self.reason}{where}"

    @property
    def best_place(self) -> dict[str, int]:
        """Where the best report was; empty without one."""
        return {"step": self.best.step, "epoch": self.best.epoch} if self.best else {}


@dataclass(frozen=True, slots=True)
class KeptId:
    """What a server calls a run, kept in a file for whoever goes on with it."""

    run: TrackedRun
    name: str

    def read(self) -> str | None:
        """None where nobody has begun it."""
        path = self.run.folder / self.name
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None

    def write(self, run_id: str) -> None:
        write_whole(self.run.folder / self.name, f"{run_id}\n")


class Tracker(ABC):
    """Shows one run elsewhere. It is called in one thread, in order, and raises whatever its library raises."""

    @abstractmethod
    def started(self, event: events.Started) -> None:
        """An attempt trains: steps after its checkpoint are made again."""

    @abstractmethod
    def reported(self, event: events.Reported) -> None:
        """One report more."""

    @abstractmethod
    def ended(self, ending: Ending) -> None:
        """Nothing more comes; what is not written yet is written now."""


def scalars(event: events.Reported) -> dict[str, float]:
    """What a report shows over the steps: its metrics, the epoch that it was made in, and the best value so far."""
    best = {f"best/{event.best.metric}": event.best.value} if event.best else {}
    return {"epoch": event.observation.epoch, **best, **event.observation.metrics}


def last_scalars(ending: Ending) -> dict[str, float]:
    """What the end shows: the value that it was stopped by, and the metrics measured after it."""
    stop = {f"stop/{ending.stopped_by[0]}": ending.stopped_by[1]} if ending.stopped_by else {}
    return {**stop, **{f"final/{name}": value for name, value in ending.tests.items()}}


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, Setting]]:
    """Every value by its path; a list is one value, as JSON."""
    found: list[tuple[str, Setting]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{before}{name}.")
        else:
            plain = value if isinstance(value, bool | int | float | str) else json.dumps(value)
            found.append((before + name, plain))
    return found
