"""A trial as a line of text, and a line for each event of a sweep."""

from __future__ import annotations

import math

from trainjobs.api.sweep import TrainSweep
from trainjobs.stopping.wording import number
from trainjobs.sweeps.events import SweepEvent
from trainjobs.sweeps.record import Table, Trial, TrialState
from trainjobs.views.formatting import count
from trainjobs.views.writing import write_line


def trial_line(trial: Trial, table: Table) -> str:
    """What has just happened to a trial of the table."""
    metric = table.objective.metric
    if trial.state is TrialState.RUNNING and not trial.epoch:
        return f"trial {trial.name}  started ({trial.proposed})  {values(trial)}"
    if trial.state is TrialState.RUNNING:
        best = table.best
        so_far = f"  best so far {number(best.objective)} (trial {best.name})" if best else ""
        return f"trial {trial.name}  epoch {trial.epoch}  {metric} {number(trial.objective)}{so_far}"
    spared = f", {count(trial.saved_epochs, 'epoch')} saved" if trial.saved_epochs else ""
    value = "" if math.isnan(trial.objective) else f", {metric} {number(trial.objective)}"
    return f"trial {trial.name}  {trial.state} at epoch {trial.epoch}{value}{spared}: {trial.reason}"


def values(trial: Trial) -> str:
    """The parameters, such as "hidden=64 learningRate=0.05"."""
    return " ".join(
        f"{name}={number(value) if isinstance(value, float) else value}"
        for name, value in trial.parameters.items()
    )


class TrialLines:
    """A line for each event."""

    def __init__(self, sweep: TrainSweep) -> None:
        self.table = Table(sweep.spec.objective)

    def __call__(self, event: SweepEvent) -> None:
        if event.trial is None:
            self.note(event.message)
        elif event.trial.state is not TrialState.PENDING:
            write_line(trial_line(event.trial, self.table))

    def note(self, text: str) -> None:
        """Something about the whole sweep."""
        write_line(text)

    def abandon(self) -> None:
        """Leave the terminal usable; the process is about to be gone."""
