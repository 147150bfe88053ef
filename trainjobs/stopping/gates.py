"""What holds a criterion back. Gates are evaluated anew at every observation and never latch.

While `startAfter` is closed the criterion inside sees nothing, neither NaN nor a missing metric, and does not
stop. Under `minEpochs` and `minSteps` it sees everything, and only its stop is withheld. A shadow criterion is held
back for good: not even its errors reach the run.
"""

import math
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from trainjobs.api.length import Unit
from trainjobs.api.stopping import StartAfter
from trainjobs.stopping.earliest import Earliest, Pace
from trainjobs.stopping.fold import Fold
from trainjobs.stopping.observation import MissingMetric, Observation
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, when

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Held(Generic[S]):
    """State of a gate."""

    inner: S
    cause: str | None = None
    """Why the criterion is held back at the latest observation; None if it is not."""
    epoch: int = 0
    """Epoch of the latest observation."""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Delayed(Generic[S]):
    """`startAfter`: shows the criterion inside only observations at which the gate is open."""

    inner: Fold[S]
    gate: StartAfter
    path: str
    """Place of the gate in the manifest."""
    unit: Unit
    """Of the run's length."""

    def start(self) -> Held[S]:
        return Held(self.inner.start())

    def update(self, state: Held[S], seen: Observation) -> Held[S]:
        closed = self._closed(seen)
        inner = state.inner if closed else self.inner.update(state.inner, seen)
        return Held(inner, closed, seen.epoch, seen.step)

    def stops(self, state: Held[S]) -> bool:
        return state.cause is None and self.inner.stops(state.inner)

    def judge(self, state: Held[S]) -> Verdict:
        verdict = self.inner.judge(state.inner)
        if state.cause is None:
            return verdict
        reason = f"held back at {when(state, self.unit)} by {state.cause}"
        return replace(verdict, stop=False, reason=reason, closeness=0.0, undecided=True, gated=state.cause)

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        opens = max(first, pace.opens(self.gate))
        inner = self.inner.earliest(opens, pace, stop=stop)
        if opens - first <= inner.moment - opens:
            return inner
        return Earliest(inner.moment, f"{self.path}.{pace.length.unit}")

    def _closed(self, seen: Observation) -> str | None:
        if self.gate.epoch is not None:
            return None if seen.epoch > self.gate.epoch else f"startAfter epoch {self.gate.epoch}"
        if self.gate.step is not None:
            return None if seen.step > self.gate.step else f"startAfter step {self.gate.step}"
        metric = self.gate.metric or ""
        value = seen.read(metric, self.gate.when_missing, self.path)
        if value is not None and self._within(value):
            return None
        side, bound = (
            ("below", self.gate.below) if self.gate.below is not None else ("above", self.gate.above)
        )
        found = "it is missing" if value is None else f"it is {number(value)}"
        return f"startAfter {metric} {side} {number(bound or 0.0)} ({found})"

    def _within(self, value: float) -> bool:
        """Whether the gate's metric is strictly on the open side; NaN and infinity are not."""
        above = self.gate.above is None or value > self.gate.above
        below = self.gate.below is None or value < self.gate.below
        return math.isfinite(value) and above and below


@dataclass(frozen=True, slots=True)
class Matured(Generic[S]):
    """`minEpochs`, `minSteps`: withhold the stop of a criterion until so many are finished."""

    inner: Fold[S]
    min_epochs: int
    min_steps: int
    unit: Unit
    """Of the run's length."""

    def start(self) -> Held[S]:
        return Held(self.inner.start(), self._cause(0, 0))

    def update(self, state: Held[S], seen: Observation) -> Held[S]:
        return Held(
            self.inner.update(state.inner, seen), self._cause(seen.epochs, seen.step), seen.epoch, seen.step
        )

    def stops(self, state: Held[S]) -> bool:
        return state.cause is None and self.inner.stops(state.inner)

    def judge(self, state: Held[S]) -> Verdict:
        verdict = self.inner.judge(state.inner)
        if state.cause is None:
            return verdict
        held = f" (held back at {when(state, self.unit)} by {state.cause})" if verdict.stop else ""
        return replace(verdict, stop=False, reason=verdict.reason + held, gated=verdict.gated or state.cause)

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        inner = self.inner.earliest(first, pace, stop=stop)
        least = pace.length.named(self.min_epochs, self.min_steps) if stop else 0
        return replace(inner, moment=max(inner.moment, least))

    def _cause(self, epochs: int, steps: int) -> str | None:
        if epochs < self.min_epochs:
            return f"minEpochs {self.min_epochs}"
        return f"minSteps {self.min_steps}" if steps < self.min_steps else None


@dataclass(frozen=True, slots=True)
class Shadowed(Generic[S]):
    """A shadow criterion: an observation it cannot read is passed over, and its verdict says so."""

    inner: Fold[S]

    def start(self) -> Held[S]:
        return Held(self.inner.start())

    def update(self, state: Held[S], seen: Observation) -> Held[S]:
        try:
            return Held(self.inner.update(state.inner, seen))
        except MissingMetric as error:
            return Held(state.inner, str(error))

    def stops(self, state: Held[S]) -> bool:
        return state.cause is None and self.inner.stops(state.inner)

    def judge(self, state: Held[S]) -> Verdict:
        verdict = self.inner.judge(state.inner)
        if state.cause is None:
            return verdict
        return replace(verdict, stop=False, reason=state.cause, closeness=0.0, undecided=True)

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        return self.inner.earliest(first, pace, stop=stop)
