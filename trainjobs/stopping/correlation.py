"""Correlation: validation and training metric no longer move together."""

import math
from typing import TypeAlias

from trainjobs.api import stopping as api
from trainjobs.stopping import windowed
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number

Pairs: TypeAlias = tuple[tuple[float, float], ...]


class Correlation(Monitored[api.Correlation, Pairs]):
    """Stops when Pearson's coefficient of both metrics over the last `window` reports is less than `least`.

    A window in which either is constant has no coefficient and does not stop. The state is the pairs of values; a NaN
    or infinity begins the window anew.
    """

    def begin(self) -> Pairs:
        return ()

    def advance(self, state: Pairs, reading: Reading) -> Pairs:
        if reading.trouble:
            return ()
        return (*state, (reading.value, reading.others[0].value))[-self.parameters.window :]

    def reached(self, state: Pairs, reading: Reading) -> bool:
        return self._found(state) < self.parameters.least - windowed.ROUNDING

    def conclude(self, state: Pairs, reading: Reading) -> Verdict:
        window, stop, found = self.parameters.window, self.reached(state, reading), self._found(state)
        return Verdict(
            stop=stop,
            reason=self._reason(state, reading, stop),
            metric=reading.metric,
            value=reading.value,
            closeness=1.0 if stop else windowed.share(1 - found, 1 - self.parameters.least) * 0.999,
            waiting=f"{len(state)}/{window}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.window, "window")

    def _found(self, state: Pairs) -> float:
        """The coefficient; NaN while the window is not full, or one metric is constant."""
        if len(state) < self.parameters.window:
            return math.nan
        validation, training = zip(*state, strict=True)
        return windowed.correlation(validation, training)

    def _reason(self, state: Pairs, reading: Reading, stop: bool) -> str:
        window, found = self.parameters.window, self._found(state)
        if len(state) < window:
            return f"{reading}: the window of {window} reports has {len(state)}"
        both = f"{reading} and {reading.others[0]} over {window} reports"
        if math.isnan(found):
            return f"{both} have no correlation: one of them is constant"
        comparison = "less" if stop else "not less"
        return (
            f"{both} have the correlation {number(found)}, {comparison} than {number(self.parameters.least)}"
        )
