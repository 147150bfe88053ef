"""Divergence: a metric is worse than a limit."""

from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.improvement import Improvement, Margin, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports


@dataclass(frozen=True, slots=True)
class Excess:
    """State: the strictly best value so far, and the successive reports beyond the limit."""

    best: Standing | None = None
    count: int = 0


class Divergence(Monitored[api.Divergence, Excess]):
    """Stops after `patience` successive reports worse than a value, or worse than the best by a margin."""

    def begin(self) -> Excess:
        return Excess()

    def advance(self, state: Excess, reading: Reading) -> Excess:
        best = state.best
        if Improvement(self.order).counts(reading.value, best.value if best else None):
            best = Standing(reading.value, reading.epoch, reading.step)
        return Excess(best, state.count + 1 if self._beyond(best, reading) else 0)

    def reached(self, state: Excess, reading: Reading) -> bool:
        return state.count >= self.parameters.patience

    def conclude(self, state: Excess, reading: Reading) -> Verdict:
        patience = self.parameters.patience
        beyond = "is worse" if state.count else "is not worse"
        span = f" for {reports(state.count)}" if state.count > 1 else ""
        return Verdict(
            stop=self.reached(state, reading),
            reason=f"{reading} {beyond} than {self._limit(state.best)}{span}",
            metric=reading.metric,
            value=reading.value,
            best=state.best.value if state.best else None,
            best_epoch=state.best.epoch if state.best else None,
            closeness=min(1.0, state.count / patience),
            waiting=f"{state.count}/{patience}",
        )

    def needs(self) -> Needs:
        """The first report is the best so far, which is not worse than itself."""
        first = 0 if self.parameters.value is not None else 1
        return Needs(first + self.parameters.patience, "patience")

    def _beyond(self, best: Standing | None, reading: Reading) -> bool:
        """Whether the reading is beyond the limit; one that is not finite is."""
        if reading.trouble is not None:
            return True
        if self.parameters.value is not None:
            return self.order.worse(reading.value, self.parameters.value)
        return best is not None and self.order.worse(reading.value, best.value, self._margin())

    def _margin(self) -> Margin:
        if self.parameters.factor is not None:
            return Margin(self.parameters.factor, relative=True)
        return Margin(self.parameters.amount or 0.0)

    def _limit(self, best: Standing | None) -> str:
        if self.parameters.value is not None:
            return number(self.parameters.value)
        where = f"the best {number(best.value)} ({self.when(best)})" if best else "any best"
        margin = self._margin()
        size = f"{number(100 * margin.size)}%" if margin.relative else number(margin.size)
        return f"{where} by more than {size}"
