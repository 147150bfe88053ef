"""One standard error: no value is better than the best by more than its error for a number of reports.

After the 1-SE rule of Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section 3.4.3:
of all trees within one standard error of the best, take the smallest.
"""

import math
from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.improvement import Improvement, Margin, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports


@dataclass(frozen=True, slots=True)
class Within:
    """State: the value that later ones must beat by its error, that error, and the reports since."""

    best: Standing | None = None
    error: float = 0.0
    waited: int = 0


class OneStandardError(Monitored[api.OneStandardError, Within]):
    """Stops after `patience` reports within one standard error of the best: here early is what small is to a tree."""

    def begin(self) -> Within:
        return Within()

    def advance(self, state: Within, reading: Reading) -> Within:
        best = state.best.value if state.best else None
        if reading.trouble or not Improvement(self.order, Margin(state.error)).counts(reading.value, best):
            return Within(state.best, state.error, state.waited + 1)
        return Within(Standing(reading.value, reading.epoch, reading.step), self._error(reading))

    def reached(self, state: Within, reading: Reading) -> bool:
        return state.waited >= self.parameters.patience

    def conclude(self, state: Within, reading: Reading) -> Verdict:
        patience = self.parameters.patience
        return Verdict(
            stop=self.reached(state, reading),
            reason=self._reason(state, reading),
            metric=reading.metric,
            value=reading.value,
            best=state.best.value if state.best else None,
            best_epoch=state.best.epoch if state.best else None,
            closeness=min(1.0, state.waited / patience),
            waiting=f"{state.waited}/{patience}",
        )

    def needs(self) -> Needs:
        """The first report is better than none."""
        return Needs(1 + self.parameters.patience, "patience")

    def _error(self, reading: Reading) -> float:
        """The reading's standard error; 0 for a rate outside 0 to 1, which is none, and for a negative one."""
        if self.parameters.samples is None:
            return max(0.0, reading.others[0].value)
        return math.sqrt(max(0.0, reading.value * (1 - reading.value)) / self.parameters.samples)

    def _reason(self, state: Within, reading: Reading) -> str:
        if state.best is None:
            return f"{reading.label} has had no finite value for {reports(state.waited)}"
        if state.waited == 0:
            return f"{reading} is an improvement at {self.when(state.best)}"
        where = f"{number(state.best.value)} ({self.when(state.best)})"
        margin = f"one standard error, {number(state.error)},"
        return f"{reading} has not improved on {where} by more than {margin} for {reports(state.waited)}"
