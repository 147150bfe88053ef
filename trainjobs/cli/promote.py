"""`trainjobs promote`: a trial of a sweep as a TrainJob of its own."""

from pathlib import Path

from trainjobs.api.manifest import dump
from trainjobs.exits import NoInput
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.space import trial_job
from trainjobs.views.writing import write_line


def promote(path: Path, trial: str | None) -> None:
    """Write the manifest of the best trial, or of the one that is named. Raises NoInput, DataError or SpecError."""
    directory = SweepDirectory(path)
    sweep = directory.sweep()
    table = directory.table(sweep.spec.objective)
    chosen = table.trials.get(trial) if trial else table.best
    if chosen is None:
        there = ", ".join(table.trials) or "none"
        what = f"no trial {trial}" if trial else f"no trial has reported {sweep.spec.objective.metric}"
        raise NoInput(f"{path}: {what}; trials: {there}")
    job = trial_job(sweep, chosen.name, chosen.parameters)
    write_line(dump(job).rstrip())
