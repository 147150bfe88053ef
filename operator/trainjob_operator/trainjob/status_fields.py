"""The operator's fields of a status: how they are written, and which of them have changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trainjob_operator.trainjob.conditions import Kind, State, conditions
from trainjob_operator.trainjob.observation.observed import Observed, Valid
from trainjobs.api.status import TrainJobStatus, Truth
from trainjobs.kube.resources import Object


def running_since(status: TrainJobStatus) -> datetime | None:
    """Since when the TrainJob is said to be running; None: it is not."""
    return _since(status, Truth.TRUE)


def idle_since(status: TrainJobStatus) -> datetime | None:
    """Since when it is said not to be running; None: it is, or nothing has been said yet."""
    return _since(status, Truth.FALSE)


def _since(status: TrainJobStatus, truth: Truth) -> datetime | None:
    running = (each for each in status.conditions if each.type == Kind.RUNNING and each.status is truth)
    return next((each.last_transition_time for each in running), None)


def active_s(observed: Observed) -> float:
    """Seconds of running time until now, over pauses."""
    since = running_since(observed.status)
    return observed.status.active_seconds + ((observed.now - since).total_seconds() if since else 0.0)


def state_fields(state: State, observed: Observed) -> dict[str, Any]:
    """The operator's fields of the status in a state. Whatever ends the running time also adds it up."""
    status, generation = observed.status, observed.raw["metadata"].get("generation")
    dumped = [
        {
            **condition.model_dump(mode="json", by_alias=True, exclude_none=True),
            "lastTransitionTime": timestamp(condition.last_transition_time),
        }
        for condition in conditions(state, status.conditions, generation, observed.now.replace(microsecond=0))
    ]
    fields: dict[str, Any] = {"conditions": dumped, "observedGeneration": generation}
    if state.kind is not Kind.RUNNING and running_since(status) is not None:
        fields["activeSeconds"] = round(active_s(observed), 3)
    return fields


def final_fields(observed: Valid) -> dict[str, Any]:
    """What is written once, with the end; the run's own account of itself stands."""
    fields: dict[str, Any] = {"completionTime": timestamp(observed.now)}
    if observed.status.accounting is None:
        gpu_s = active_s(observed) * observed.trainjob.spec.trainer.num_gpus
        fields["accounting"] = {"gpuSecondsUsed": round(gpu_s, 3)}
    return fields


def changes(raw: Object, fields: dict[str, Any]) -> Object:
    """Those fields that the API server has otherwise."""
    known = raw.get("status") or {}
    return {name: value for name, value in fields.items() if known.get(name) != value}


def timestamp(moment: datetime) -> str:
    """A time as the API server writes it."""
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
