"""Trend: a straight line through the last values gains no more than a margin."""

from trainjobs.api import stopping as api
from trainjobs.api.stopping import MinDeltaMode
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.windowed import ROUNDING, Values, mean, share, slope
from trainjobs.stopping.wording import number


class Trend(Monitored[api.Trend, Values]):
    """Stops when the least-squares line through the last `window` values gains no more than `minDelta` over them.

    The state is those values; a NaN or infinity begins the window anew.
    """

    def begin(self) -> Values:
        return ()

    def advance(self, state: Values, reading: Reading) -> Values:
        return () if reading.trouble else (*state, reading.value)[-self.parameters.window :]

    def reached(self, state: Values, reading: Reading) -> bool:
        if len(state) < self.parameters.window:
            return False
        return self._gain(state) <= self._margin(state) + ROUNDING * max(map(abs, state))

    def conclude(self, state: Values, reading: Reading) -> Verdict:
        window, stop = self.parameters.window, self.reached(state, reading)
        return Verdict(
            stop=stop,
            reason=self._reason(state, reading, stop),
            metric=reading.metric,
            value=reading.value,
            closeness=1.0 if stop else self._closeness(state),
            waiting=f"{len(state)}/{window}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.window, "window")

    def _gain(self, values: Values) -> float:
        return self.order.gain(slope(values) * (len(values) - 1))

    def _margin(self, values: Values) -> float:
        size = self.parameters.min_delta
        if self.parameters.min_delta_mode == MinDeltaMode.ABSOLUTE:
            return size
        return size * abs(mean(values) - slope(values) * (len(values) - 1) / 2)

    def _closeness(self, values: Values) -> float:
        full = len(values) == self.parameters.window
        return share(self._margin(values), self._gain(values)) if full else 0.0

    def _reason(self, values: Values, reading: Reading, stop: bool) -> str:
        window = self.parameters.window
        if len(values) < window:
            return f"{reading}: the window of {window} reports has {len(values)}"
        comparison = "no more" if stop else "more"
        gain, margin = number(self._gain(values)), number(self._margin(values))
        return f"{reading}: the line through {window} reports gains {gain}, {comparison} than {margin}"
