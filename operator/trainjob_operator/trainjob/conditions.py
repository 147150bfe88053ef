"""What a TrainJob is doing, in one word, and the conditions that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from trainjobs.api.status import Condition


class Kind(StrEnum):
    """The fact that tells most about a TrainJob; each is the type of a condition, but for the two last."""

    SUSPENDED = "Suspended"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    STARTING = "Starting"
    ENDING = "Ending"


EARLY_STOPPED: Final = "EarlyStopped"
FINISHED: Final = "Finished"
STOP_REQUESTED: Final = "StopRequested"
_ORDER: Final = (Kind.FAILED, Kind.COMPLETE, Kind.SUSPENDED, Kind.RUNNING)


@dataclass(frozen=True, slots=True)
class State:
    """One of the kinds, and why."""

    kind: Kind
    reason: str
    """One CamelCase word."""
    message: str
    """A sentence with the numbers."""

    @property
    def is_end(self) -> bool:
        """Nothing comes after it."""
        return self.kind in (Kind.COMPLETE, Kind.FAILED)


def conditions(
    state: State, before: tuple[Condition, ...], generation: int | None, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a state; the one that tells most comes first, and `kubectl get` shows its reason.

    Conditions that have never been true are left out. `lastTransitionTime` moves only with the truth.
    """
    telling = Kind.RUNNING if state.kind in (Kind.STARTING, Kind.ENDING) else state.kind
    stopped_early = state.kind is Kind.COMPLETE and state.reason == EARLY_STOPPED
    true = {str(state.kind)} | ({EARLY_STOPPED} if stopped_early else set())
    known = {condition.type: condition for condition in before}
    types = [str(telling), *(str(kind) for kind in _ORDER if kind != telling), EARLY_STOPPED]
    return tuple(
        Condition.of(
            *(name, name in true, state.reason, state.message, now),
            before=known.get(name),
            generation=generation,
        )
        for name in types
        if name in true or name in known or name == telling
    )
