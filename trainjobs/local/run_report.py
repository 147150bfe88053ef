"""What became of a run, read from its directory alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.api.reasons import COMPLETIONS, ConditionType, RunOutcome
from trainjobs.exits import DataError
from trainjobs.runs import events
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import (
    CriterionResult,
)
from trainjobs.runs.run_state import RunState, added_up
from trainjobs.stopping import Best, MissingMetric, Observation, Panel, Saving, against_length

if TYPE_CHECKING:
    from trainjobs.api import Length, TrainJob, TrainJobSpec


class RunStatus(StrEnum):
    """Where a run stands."""

    FINISHED = RunOutcome.FINISHED
    """Trained all epochs."""
    EARLY_STOPPED = RunOutcome.EARLY_STOPPED
    STOP_REQUESTED = RunOutcome.STOP_REQUESTED
    PRUNED = RunOutcome.PRUNED
    """A trial that a sweep has stopped because others do better."""
    INTERRUPTED = RunOutcome.INTERRUPTED
    """Left after a checkpoint; can be resumed."""
    FAILED = RunOutcome.FAILED
    RUNNING = ConditionType.RUNNING
    """A process is training it now."""
    UNFINISHED = "Unfinished"
    """Nobody trains it and it has not said how it ended: killed, or the machine went down."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run."""

    path: Path
    name: str
    state: RunStatus
    process: int | None
    """The process that trains it now."""
    length: "Length"
    workers: int
    told: RunState
    """What its events add up to: how the newest attempt went and ended."""
    history: tuple[Observation, ...]
    criteria: tuple[CriterionResult, ...]
    """Every criterion at the last report."""
    best: Best | None
    trouble: str | None
    """Why the criteria cannot be judged by this history."""
    model: Path | None
    storage: str | None
    """Where checkpoints and weights are, if not in the run directory."""

    @property
    def last(self) -> Observation | None:
        """The last report."""
        return self.history[-1] if self.history else None

    @property
    def step(self) -> int:
        """Finished steps at the halt, or else at the last report."""
        halted = self.told.halted
        if halted is not None:
            return max(halted.steps.values())
        return self.last.step if self.last else 0

    @property
    def saved(self) -> Saving | None:
        """What was saved; None when nothing was, or the run can still go on. Seconds are of each worker."""
        if self.state.value not in COMPLETIONS or self.last is None:
            return None
        saving = against_length(self.length, self.history, self.step, self.told.epochs)
        return saving if self.length.named(saving.epochs, saving.steps) else None


def read(
    directory: RunDirectory, job: "TrainJob | None" = None, happened: Sequence[events.Event] | None = None
) -> RunReport:
    """The report of the run in `directory`. Raises NoInput where there is none, DataError or SpecError.

    Args:
        job: what it trains, where its own manifest is not to be read.
        happened: its events, for whoever has read them already.
    """
    job = job or directory.job()
    history = directory.history()
    told = added_up(directory.events() if happened is None else happened)
    holder = directory.holder()
    process = holder if holder != os.getpid() else None
    rows, best, trouble = judged(job.spec, history)
    return RunReport(
        path=directory.path,
        name=job.metadata.name,
        state=_state(directory, told, process),
        process=process,
        length=job.spec.trainer.length,
        workers=told.workers or job.spec.trainer.num_workers,
        told=told,
        history=history,
        criteria=rows,
        best=best,
        trouble=trouble,
        model=directory.model if directory.model.exists() else None,
        storage=_storage(directory, job),
    )


def _storage(directory: RunDirectory, job: "TrainJob") -> str | None:
    from trainjobs.driver.driver import storage_uri

    uri = storage_uri(job, directory)
    return None if uri == str(directory.path.absolute()) else uri.partition("?")[0]


def judged(
    spec: "TrainJobSpec", history: Sequence[Observation]
) -> tuple[tuple[CriterionResult, ...], Best | None, str | None]:
    """Every criterion at the end of the history, the best, and why they cannot be judged (else None)."""
    panel = Panel.of(spec.stopping, spec.trainer.length)
    try:
        ruling = panel.judge(panel.fold(tuple(history)))
    except MissingMetric as error:
        return (), None, str(error)
    return events.results_of(ruling), ruling.best, None


def _state(directory: RunDirectory, told: RunState, process: int | None) -> RunStatus:
    if process is not None:
        return RunStatus.RUNNING
    result = directory.result()
    if result is None:
        return RunStatus.FAILED if told.failure is not None else RunStatus.UNFINISHED
    try:
        return RunStatus(result["state"])
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{directory.path / 'result.json'}: damaged, its state is not one of {', '.join(RunStatus)}"
        ) from error
