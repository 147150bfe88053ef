"""The operator's fields of a status: how they are written, and which of them have changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trainjob_operator.resources import Object
from trainjob_operator.state import Kind, State, conditions
from trainjobs.spec.status import TrainJobStatus, Truth


def running_since(status: TrainJobStatus) -> datetime | None:
    """Since when the TrainJob is said to be running; None: it is not."""
    return next(
        (
            condition.last_transition_time
            for condition in status.conditions
            if condition.type == Kind.RUNNING and condition.status is Truth.TRUE
        ),
        None,
    )


def written(state: State, status: TrainJobStatus, generation: int | None, now: datetime) -> dict[str, Any]:
    """The operator's fields of the status."""
    listed = conditions(state, status.conditions, generation, now.replace(microsecond=0))
    dumped = [
        {
            **condition.model_dump(mode="json", by_alias=True, exclude_none=True),
            "lastTransitionTime": text(condition.last_transition_time),
        }
        for condition in listed
    ]
    return {"conditions": dumped, "observedGeneration": generation}


def changes(raw: Object, fields: dict[str, Any]) -> Object:
    """Those fields that the API server has otherwise."""
    known = raw.get("status") or {}
    return {name: value for name, value in fields.items() if known.get(name) != value}


def text(moment: datetime) -> str:
    """A time as the API server writes it."""
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
