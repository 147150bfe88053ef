"""What a TrainJob is doing, in one word, and the conditions that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from trainjobs.api.reasons import ConditionType, Reason
from trainjobs.api.status import Condition, Truth


class Kind(StrEnum):
    """The fact that tells most about a TrainJob; each is the type of a condition, but for the two last."""

    SUSPENDED = ConditionType.SUSPENDED
    RUNNING = ConditionType.RUNNING
    COMPLETE = ConditionType.COMPLETE
    FAILED = ConditionType.FAILED
    STARTING = Reason.STARTING
    ENDING = Reason.ENDING


_ORDER: Final = (Kind.FAILED, Kind.COMPLETE, Kind.SUSPENDED, Kind.RUNNING)


@dataclass(frozen=True, slots=True)
class State:
    """One of the kinds, and why."""

    kind: Kind
    reason: str
    """One CamelCase word: one of `trainjobs.api.reasons`, Kubernetes' own, or a pod's."""
    message: str
    """A sentence with the numbers."""

    @property
    def is_end(self) -> bool:
        """Nothing comes after it."""
        return self.kind in (Kind.COMPLETE, Kind.FAILED)


def going_on(shown: tuple[Condition, ...]) -> Kind:
    """What a TrainJob that has not ended does, by its conditions."""
    first = shown[0] if shown else None
    is_kind = (
        first is not None and first.status is Truth.TRUE and first.type in (Kind.RUNNING, Kind.SUSPENDED)
    )
    return Kind(first.type) if first is not None and is_kind else Kind.STARTING


def conditions(
    state: State, before: tuple[Condition, ...], generation: int | None, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a state; the one that tells most comes first, and `kubectl get` shows its reason.

    Conditions that have never been true are left out. `lastTransitionTime` moves only with the truth.
    """
    telling = Kind.RUNNING if state.kind in (Kind.STARTING, Kind.ENDING) else state.kind
    stopped_early = state.kind is Kind.COMPLETE and state.reason == Reason.EARLY_STOPPED
    true = {str(state.kind)} | ({str(ConditionType.EARLY_STOPPED)} if stopped_early else set())
    known = {condition.type: condition for condition in before}
    types = [
        str(telling),
        *(str(kind) for kind in _ORDER if kind != telling),
        str(ConditionType.EARLY_STOPPED),
    ]
    return tuple(
        Condition.of(
            *(name, name in true, state.reason, state.message, now),
            before=known.get(name),
            generation=generation,
        )
        for name in types
        if name in true or name in known or name == telling
    )
