"""Weighted: the weighted gain of several metrics has been too small for a number of reports."""

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from trainjobs.api import stopping as api
from trainjobs.api.stopping import MinDeltaMode
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Order
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.windowed import ROUNDING
from trainjobs.stopping.wording import number, reports

Values: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """State: all metrics at the last report that improved, and the reports since."""

    best: Values = ()
    """Empty: there has been none."""
    epoch: int = 0
    step: int = 0
    waited: int = 0


class Weighted(Monitored[api.Weighted, Joint]):
    """Stops after `patience` reports at which the mean gain over the best report was at most `minDelta`.

    The mean is by the weights of the moment, for both reports, so it compares like with like when they change.
    """

    def __init__(self, parameters: api.Weighted, scope: Scope) -> None:
        super().__init__(parameters, scope)
        self._orders = (self.order, *(Order(other.mode) for other in parameters.others))

    def begin(self) -> Joint:
        return Joint()

    def advance(self, state: Joint, reading: Reading) -> Joint:
        if not self._improves(state, reading):
            return replace(state, waited=state.waited + 1)
        return Joint(self._values(reading), reading.epoch, reading.step)

    def reached(self, state: Joint, reading: Reading) -> bool:
        return state.waited >= self.parameters.patience

    def conclude(self, state: Joint, reading: Reading) -> Verdict:
        patience = self.parameters.patience
        return Verdict(
            stop=self.reached(state, reading),
            reason=self._reason(state, reading),
            metric=reading.metric,
            value=reading.value,
            best=state.best[0] if state.best else None,
            best_epoch=state.epoch if state.best else None,
            closeness=min(1.0, state.waited / patience),
            waiting=f"{state.waited}/{patience}",
        )

    def needs(self) -> Needs:
        """The first report is better than none."""
        return Needs(1 + self.parameters.patience, "patience")

    def gain(self, best: Values, reading: Reading) -> float:
        """The weighted mean of the metrics' gains over their values at the best report; 0 if all weights are 0."""
        weights, values = self._weights(reading), self._values(reading)
        each = zip(self._orders, weights, values, best, strict=True)
        gains = sum(
            weight * order.gain(value - old) / self._measure(old) for order, weight, value, old in each
        )
        return gains / sum(weights) if sum(weights) else 0.0

    def _improves(self, state: Joint, reading: Reading) -> bool:
        if reading.trouble or not state.best:
            return not reading.trouble
        rounding = ROUNDING * max(abs(value / self._measure(value)) for value in state.best)
        return self.gain(state.best, reading) > self.parameters.min_delta + rounding

    def _measure(self, best: float) -> float:
        """What a gain is measured in; of a best of 0 there is no fraction, so any gain is infinite."""
        if self.parameters.min_delta_mode == MinDeltaMode.ABSOLUTE:
            return 1.0
        return abs(best) or math.ulp(0.0)

    def _values(self, reading: Reading) -> Values:
        return (reading.value, *(other.value for other in reading.others[: len(self.parameters.others)]))

    def _weights(self, reading: Reading) -> Values:
        reported = iter(reading.others[len(self.parameters.others) :])
        weighed: tuple[api.Weighted | api.WeightedMetric, ...] = (self.parameters, *self.parameters.others)
        return tuple(
            (each.weight or 1.0) if each.importance is None else max(0.0, next(reported).value)
            for each in weighed
        )

    def _reason(self, state: Joint, reading: Reading) -> str:
        both = ", ".join(map(str, (reading, *reading.others[: len(self.parameters.others)])))
        if not state.best:
            return f"{both}: not all finite for {reports(state.waited)}"
        if state.waited == 0:
            return f"{both}: an improvement at {self.when(state)}"
        relative = self.parameters.min_delta_mode == MinDeltaMode.RELATIVE
        size = self.parameters.min_delta
        margin = f"{number(100 * size)}%" if relative else number(size)
        over = self.when(state)
        return f"{both}: no weighted gain over {over} of more than {margin} for {reports(state.waited)}"
