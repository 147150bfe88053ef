"""Productivity quotient: validation gets worse faster than training gets better.

PQ of Prechelt, "Early Stopping - But When?", in Neural Networks: Tricks of the Trade, 1998.
"""

import math
from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.generalization_loss import loss
from trainjobs.stopping.improvement import Improvement, Order, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number


@dataclass(frozen=True, slots=True)
class Strip:
    """State: the best validation value so far, the training values of the strip begun, and the last quotient."""

    best: Standing | None = None
    training: tuple[float, ...] = ()
    quotient: float | None = None
    """Generalization loss by progress at the end of the last whole strip; None before there is one."""


class ProductivityQuotient(Monitored[api.ProductivityQuotient, Strip]):
    """Stops at the end of a strip if its quotient is more than `alpha`; the verdict stands until the next one ends."""

    def begin(self) -> Strip:
        return Strip()

    def advance(self, state: Strip, reading: Reading) -> Strip:
        improves = Improvement(self.order).counts(reading.value, state.best.value if state.best else None)
        best = Standing(reading.value, reading.epoch, reading.step) if improves else state.best
        training = (*state.training, reading.others[0].value)
        if len(training) < self.parameters.strip_length:
            return Strip(best, training, state.quotient)
        return Strip(
            best, (), quotient(loss(self.order, reading.value, best), progress(self.order, training))
        )

    def reached(self, state: Strip, reading: Reading) -> bool:
        return state.quotient is not None and state.quotient > self.parameters.alpha

    def conclude(self, state: Strip, reading: Reading) -> Verdict:
        stop, alpha = self.reached(state, reading), self.parameters.alpha
        found = state.quotient or 0.0
        length = self.parameters.strip_length
        return Verdict(
            stop=stop,
            reason=self._reason(state, reading),
            metric=reading.metric,
            value=reading.value,
            best=state.best.value if state.best else None,
            best_epoch=state.best.epoch if state.best else None,
            closeness=1.0 if stop else min(1.0, found / alpha),
            waiting=f"{len(state.training)}/{length}"
            if state.quotient is None
            else f"{number(found)}/{number(alpha)}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.strip_length, "strip_length")

    def _reason(self, state: Strip, reading: Reading) -> str:
        length = self.parameters.strip_length
        if state.quotient is None:
            return f"{reading}: the first strip of {length} reports has {len(state.training)}"
        comparison = "more" if self.reached(state, reading) else "not more"
        return (
            f"{reading}: over the last whole strip of {length} reports generalization loss by training progress is "
            f"{number(state.quotient)}, {comparison} than {number(self.parameters.alpha)}"
        )


def progress(order: Order, training: tuple[float, ...]) -> float:
    """By how many per mille of |best| the mean of a strip is worse than its best: much while training is fast.

    Infinite for a best of 0 that is not the mean, and 0 if a value is NaN or infinite.
    """
    if not all(map(math.isfinite, training)):
        return 0.0
    best = order.best(training)
    return 1000 * order.excess(best + sum(value - best for value in training) / len(training), best)


def quotient(lost: float, gained: float) -> float:
    """Loss by progress; 0 if nothing is lost, infinite if something is and nothing gained."""
    if lost == 0:
        return 0.0
    return lost / gained if gained > 0 else math.inf
