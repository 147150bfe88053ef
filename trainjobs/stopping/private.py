"""Private: a metric has not improved, told with differential privacy.

Laplace mechanism and AboveThreshold (the sparse vector technique) as in Dwork and Roth, The Algorithmic Foundations of
Differential Privacy, 2014, definition 3.3 and algorithm 1. Noise is a function of the seed and of the report's place in
the history, never of a value: so the same history is judged the same again.
"""

import math
from dataclasses import dataclass, replace
from hashlib import blake2b

from trainjobs.api import stopping as api
from trainjobs.api.stopping import Mechanism
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Improvement, Margin, Order, Standing
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports, when

QUERY = 2
"""Sensitivity of a difference of two best values, in sensitivities of the metric."""


@dataclass(frozen=True, slots=True)
class Noisy:
    """State of the Laplace mechanism: what it has told."""

    seen: int = 0
    value: float = math.nan
    best: Standing | None = None
    waited: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """State of AboveThreshold: the last `patience` values, the best before them, and whether it has answered stop."""

    seen: int = 0
    before: float | None = None
    recent: tuple[float, ...] = ()
    stopped: bool = False


class Private:
    """A plateau whose verdicts hide any one person: a stop, once told, stands, for the budget is spent."""

    def __init__(self, parameters: api.Private, scope: Scope) -> None:
        self._parameters = parameters
        self._metric = scope.metric(parameters.monitor)
        self._path = scope.path
        self._unit = scope.unit
        self._order = Order(parameters.mode or scope.mode)
        self._improvement = Improvement(self._order, Margin(parameters.min_delta))
        self._scale = parameters.sensitivity / parameters.epsilon

    def start(self) -> Noisy | Compared:
        return Noisy() if self._parameters.mechanism is Mechanism.LAPLACE else Compared()

    def update(self, state: Noisy | Compared, seen: Observation) -> Noisy | Compared:
        value = seen.read(self._metric, self._parameters.when_missing, self._path)
        if value is None:
            return state
        return self._told(state, value, seen) if isinstance(state, Noisy) else self._asked(state, value)

    def stops(self, state: Noisy | Compared) -> bool:
        return state.stopped if isinstance(state, Compared) else state.waited >= self._parameters.patience

    def judge(self, state: Noisy | Compared) -> Verdict:
        if state.seen == 0:
            return Verdict(False, f"{self._metric} has not been seen yet", self._metric, undecided=True)
        return self._noisy_verdict(state) if isinstance(state, Noisy) else self._bare_verdict(state)

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        needs = Needs(1 + self._parameters.patience if stop else 1, "patience")
        return after_reports(needs, first, pace, self._parameters, self._path)

    # --- Laplace: every value is told, with noise ------------------------------------------------------------------

    def _told(self, state: Noisy, value: float, seen: Observation) -> Noisy:
        noisy = value + self._order.gain(self._noise("value", state.seen, self._scale))
        told = replace(state, seen=state.seen + 1, value=noisy)
        if self._improvement.counts(noisy, state.best.value if state.best else None):
            return replace(told, best=Standing(noisy, seen.epoch, seen.step), waited=0)
        return replace(told, waited=state.waited + 1)

    def _noisy_verdict(self, state: Noisy) -> Verdict:
        patience = self._parameters.patience
        value = f"{self._metric} {number(state.value)} (with noise of scale {number(self._scale)})"
        spent = f"privacy spent: {number(state.seen * self._parameters.epsilon)} in {reports(state.seen)}"
        known = state.best
        best = f"{number(known.value)} ({when(known, self._unit)})" if known else "any value"
        told = (
            f"has not improved on {best}{self._improvement.margin.told} for {reports(state.waited)}"
            if state.waited
            else "is an improvement"
        )
        return Verdict(
            stop=self.stops(state),
            reason=f"{value} {told}; {spent}",
            metric=self._metric,
            value=state.value,
            best=known.value if known else None,
            best_epoch=known.epoch if known else None,
            closeness=min(1.0, state.waited / patience),
            waiting=f"{state.waited}/{patience}",
        )

    # --- AboveThreshold: only the first stop is told ---------------------------------------------------------------

    def _asked(self, state: Compared, value: float) -> Compared:
        """One query: whether the last `patience` values have gained more than `minDelta` on the best before them."""
        value = value if math.isfinite(value) else self._order.gain(-math.inf)
        recent, before = (*state.recent, value), state.before
        if len(recent) > self._parameters.patience:
            oldest, *rest = recent
            before = oldest if before is None else self._order.best((before, oldest))
            recent = tuple(rest)
        now = Compared(state.seen + 1, before, recent, state.stopped)
        return now if before is None or state.stopped else replace(now, stopped=self._answer(now, before))

    def _answer(self, state: Compared, before: float) -> bool:
        scale = QUERY * self._scale
        gain = self._order.gain(self._order.best(state.recent) - before)
        noise, threshold = self._noise("query", state.seen, 4 * scale), self._noise("threshold", 0, 2 * scale)
        return not gain + noise > self._parameters.min_delta + threshold

    def _bare_verdict(self, state: Compared) -> Verdict:
        answer = "has stopped improving" if state.stopped else "is not known to have stopped improving"
        return Verdict(
            stop=state.stopped,
            reason=f"{self._metric} {answer}; privacy spent: {number(self._parameters.epsilon)} for all answers",
            metric=self._metric,
            closeness=float(state.stopped),
        )

    def _noise(self, use: str, report: int, scale: float) -> float:
        return laplace(f"{self._parameters.seed}/{use}/{report}", scale)


def laplace(source: str, scale: float) -> float:
    """A draw from Laplace's distribution around 0, always the same from the same source."""
    bits = int.from_bytes(blake2b(source.encode(), digest_size=8).digest()) >> 11
    uniform = (bits + 0.5) / 2**53 - 0.5
    return -scale * math.copysign(math.log1p(-2 * abs(uniform)), uniform)
