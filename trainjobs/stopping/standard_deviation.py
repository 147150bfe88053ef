"""Standard deviation: the last values scatter no more than a limit."""

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.windowed import ROUNDING, Values, deviation, share
from trainjobs.stopping.wording import number


class StandardDeviation(Monitored[api.StandardDeviation, Values]):
    """Stops when the standard deviation of the last `window` values is at most `limit`.

    The state is those values; a NaN or infinity begins the window anew.
    """

    def begin(self) -> Values:
        return ()

    def advance(self, state: Values, reading: Reading) -> Values:
        return () if reading.trouble else (*state, reading.value)[-self.parameters.window :]

    def reached(self, state: Values, reading: Reading) -> bool:
        if len(state) < self.parameters.window:
            return False
        return deviation(state) <= self.parameters.limit + ROUNDING * max(map(abs, state))

    def conclude(self, state: Values, reading: Reading) -> Verdict:
        window, limit = self.parameters.window, self.parameters.limit
        stop, full = self.reached(state, reading), len(state) == window
        found = deviation(state) if full else 0.0
        comparison = "no more" if stop else "more"
        reason = (
            f"{window} reports have the standard deviation {number(found)}, {comparison} than {number(limit)}"
        )
        return Verdict(
            stop=stop,
            reason=f"{reading}: {reason if full else f'the window of {window} reports has {len(state)}'}",
            metric=reading.metric,
            value=reading.value,
            closeness=1.0 if stop else (share(limit, found) if full else 0.0),
            waiting=f"{len(state)}/{window}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.window, "window")
