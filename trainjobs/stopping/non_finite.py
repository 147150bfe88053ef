"""Non-finite: a metric is NaN or infinite."""

import math
from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports, when


@dataclass(frozen=True, slots=True)
class Streak:
    """State: the latest value, where it was seen, and how many successive values have not been finite."""

    value: float | None = None
    epoch: int = 0
    step: int = 0
    count: int = 0


class NonFiniteMetric:
    """Stops after `patience` successive reports of NaN or infinity. It reads the metric as reported."""

    def __init__(self, parameters: api.NonFiniteMetric, scope: Scope) -> None:
        self._parameters = parameters
        self._metric = scope.metric(parameters.monitor)
        self._path = scope.path
        self._unit = scope.unit

    def start(self) -> Streak:
        return Streak()

    def update(self, state: Streak, seen: Observation) -> Streak:
        value = seen.read(self._metric, self._parameters.when_missing, self._path)
        if value is None:
            return state
        return Streak(value, seen.epoch, seen.step, 0 if math.isfinite(value) else state.count + 1)

    def stops(self, state: Streak) -> bool:
        return state.count >= self._parameters.patience

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        needs = Needs(self._parameters.patience if stop else 1, "patience")
        return after_reports(needs, first, pace, self._parameters, self._path)

    def judge(self, state: Streak) -> Verdict:
        if state.value is None:
            return Verdict(False, f"{self._metric} has not been seen yet", self._metric, undecided=True)
        patience = self._parameters.patience
        span = f", not finite for {reports(state.count)}" if state.count > 1 else ""
        return Verdict(
            stop=self.stops(state),
            reason=f"{self._metric} is {number(state.value)} at {when(state, self._unit)}{span}",
            metric=self._metric,
            value=state.value,
            closeness=min(1.0, state.count / patience),
            waiting=f"{state.count}/{patience}",
        )
