"""Generalization loss: the metric is worse than its best by so many percent.

GL of Prechelt, "Early Stopping - But When?", in Neural Networks: Tricks of the Trade, 1998.
"""

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.improvement import Improvement, Margin, Order, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number


class GeneralizationLoss(Monitored[api.GeneralizationLoss, Standing | None]):
    """Stops when 100 * (value / best - 1) is more than `alpha`; the state is the best value so far.

    For metrics of any sign and direction that is: worse than the best by more than `alpha` percent of |best|.
    """

    def begin(self) -> Standing | None:
        return None

    def advance(self, state: Standing | None, reading: Reading) -> Standing | None:
        improves = Improvement(self.order).counts(reading.value, state.value if state else None)
        return Standing(reading.value, reading.epoch, reading.step) if improves else state

    def reached(self, state: Standing | None, reading: Reading) -> bool:
        return state is None or self.order.worse(
            reading.value, state.value, Margin.percent(self.parameters.alpha)
        )

    def conclude(self, state: Standing | None, reading: Reading) -> Verdict:
        stop, alpha = self.reached(state, reading), self.parameters.alpha
        lost = loss(self.order, reading.value, state)
        where = f"the best {number(state.value)} ({self.when(state)})" if state else "any best"
        comparison = "is worse" if stop else "is not worse"
        return Verdict(
            stop=stop,
            reason=f"{reading} {comparison} than {where} by more than {number(alpha)}%",
            metric=reading.metric,
            value=reading.value,
            best=state.value if state else None,
            best_epoch=state.epoch if state else None,
            closeness=1.0 if stop else min(1.0, lost / alpha),
            waiting=f"{number(lost)}%/{number(alpha)}%",
        )

    def needs(self) -> Needs:
        """The first report is the best so far, which is not worse than itself."""
        return Needs(2)


def loss(order: Order, value: float, best: Standing | None) -> float:
    """By how many percent of |best| a value is worse; infinite if there is no best or either is not comparable."""
    if best is None:
        return float("inf")
    return 100 * order.excess(value, best.value)
