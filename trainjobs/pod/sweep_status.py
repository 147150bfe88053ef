"""What a sweep says of itself in the status of its TrainSweep."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from trainjobs.api.status import Accounting, clipped
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.sweep_status import (
    LATEST,
    BestTrial,
    ParameterValue,
    TrainSweepStatus,
    TrialCounts,
    TrialStatus,
)
from trainjobs.pod.status_writer import Document
from trainjobs.runs.run_state import now
from trainjobs.sweeps.record import Table, Trial, TrialState

OWNED = {"start_time", "restarts", "failed_attempts", "trials", "best", "latest", "summary", "accounting"}
"""Fields that a sweep writes; the operator writes the others."""
_COUNTED = {
    TrialState.FINISHED: "succeeded",
    TrialState.STOP_REQUESTED: "succeeded",
    TrialState.EARLY_STOPPED: "early_stopped",
    TrialState.PRUNED: "pruned",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "running",
}


def owned(status: TrainSweepStatus) -> Document:
    """The fields that a sweep owns, as the API server takes them."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True, include=OWNED)


def described(sweep: TrainSweep, table: Table) -> dict[str, Any]:
    """Fields that tell of the trials as they are."""
    best = table.best
    return {
        "trials": _counts(sweep, table),
        "best": None if best is None else _best(best, sweep.spec.objective.metric),
        "latest": tuple(map(_row, list(table.trials.values())[: -LATEST - 1 : -1])),
    }


def accounting(sweep: TrainSweep, table: Table, used_before_s: float, began: float) -> Accounting:
    """What was used and saved.

    Args:
        used_before_s: GPU seconds of earlier drivers.
        began: unix time since when this one holds its GPUs.
    """
    gpus = sweep.spec.template.spec.trainer.num_gpus
    saved_s = sum(map(_saved_s, table.trials.values()))
    held = gpus * (sweep.spec.parallel_trials or 1)
    return Accounting(
        gpu_seconds_used=round(used_before_s + held * (time.time() - began), 3),
        seconds_saved=round(saved_s, 3),
        gpu_seconds_saved=round(saved_s * gpus, 3),
        gpu_hours_saved=round(saved_s * gpus / 3600, 2),
        epochs_saved=sum(trial.saved_epochs for trial in table.trials.values()),
    )


def _counts(sweep: TrainSweep, table: Table) -> TrialCounts:
    counts = dict.fromkeys(_COUNTED.values(), 0)
    for state, many in table.counts.items():
        if (name := _COUNTED.get(TrialState(state))) is not None:
            counts[name] += many
    ended = sum(trial.state.ended for trial in table.trials.values())
    return TrialCounts(total=sweep.spec.trials, ended=ended, last_update_time=now(), **counts)


def _best(trial: Trial, metric: str) -> BestTrial:
    parameters = tuple(
        ParameterValue(name=clipped(name, 512), value=clipped(json.dumps(value), 512))
        for name, value in trial.parameters.items()
    )
    return BestTrial(trial=trial.name, metric=metric, objective=repr(trial.objective), parameters=parameters)


def _row(trial: Trial) -> TrialStatus:
    return TrialStatus(
        trial=trial.name,
        state=trial.state,
        epoch=trial.epoch,
        objective=None if math.isnan(trial.objective) else repr(trial.objective),
        reason=clipped(trial.reason, 2048) or None,
    )


def _saved_s(trial: Trial) -> float:
    """Seconds of the epochs that it was spared, at the mean of its own."""
    return trial.saved_epochs * trial.seconds / trial.epoch if trial.state.ended and trial.epoch else 0.0
