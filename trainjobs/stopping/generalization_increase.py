"""Generalization increase: the metric has become worse in successive strips of reports.

UP of Prechelt, "Early Stopping - But When?", in Neural Networks: Tricks of the Trade, 1998.
"""

from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number


@dataclass(frozen=True, slots=True)
class Ends:
    """State: the last finite value at the end of a strip, and the strips that have since ended worse."""

    reports: int = 0
    """Of the strip that has begun."""
    end: float | None = None
    increases: int = 0


class GeneralizationIncrease(Monitored[api.GeneralizationIncrease, Ends]):
    """Stops when `strips` successive strips have ended worse than the one before; a NaN there is worse."""

    def begin(self) -> Ends:
        return Ends()

    def advance(self, state: Ends, reading: Reading) -> Ends:
        if state.reports + 1 < self.parameters.strip_length:
            return Ends(state.reports + 1, state.end, state.increases)
        end = state.end if reading.trouble else reading.value
        increased = self._increased(state, reading)
        return Ends(0, end, state.increases + 1 if increased else 0)

    def reached(self, state: Ends, reading: Reading) -> bool:
        return state.increases >= self.parameters.strips

    def conclude(self, state: Ends, reading: Reading) -> Verdict:
        strips, length = self.parameters.strips, self.parameters.strip_length
        at = "none has ended" if state.end is None else f"the last ended at {number(state.end)}"
        counted = "1 strip" if state.increases == 1 else f"{state.increases} strips"
        return Verdict(
            stop=self.reached(state, reading),
            reason=f"{reading}: {counted} of {length} reports in a row ended worse than the one before; {at}",
            metric=reading.metric,
            value=reading.value,
            closeness=min(1.0, state.increases / strips),
            waiting=f"{state.increases}/{strips}",
        )

    def needs(self) -> Needs:
        """The first strip is worse than none."""
        return Needs((self.parameters.strips + 1) * self.parameters.strip_length, "strips")

    def _increased(self, state: Ends, reading: Reading) -> bool:
        if reading.trouble is not None:
            return True
        return state.end is not None and self.order.worse(reading.value, state.end)
