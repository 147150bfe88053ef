"""Overfitting: the validation metric is worse than the training metric by more than a gap."""

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.improvement import Margin
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports


class Overfitting(Monitored[api.Overfitting, int]):
    """Stops after `patience` successive reports with a larger gap; the state is their number.

    The gap is validation minus training for a metric that is to fall, training minus validation for one
    that is to rise.
    """

    def begin(self) -> int:
        return 0

    def advance(self, state: int, reading: Reading) -> int:
        return state + 1 if self._overfits(reading) else 0

    def reached(self, state: int, reading: Reading) -> bool:
        return state >= self.parameters.patience

    def conclude(self, state: int, reading: Reading) -> Verdict:
        patience = self.parameters.patience
        comparison = "is worse" if state else "is not worse"
        span = f" for {reports(state)}" if state > 1 else ""
        gap = number(self.parameters.gap)
        return Verdict(
            stop=self.reached(state, reading),
            reason=f"{reading} {comparison} than {reading.others[0]} by more than {gap}{span}",
            metric=reading.metric,
            value=reading.value,
            closeness=min(1.0, state / patience),
            waiting=f"{state}/{patience}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.patience, "patience")

    def _overfits(self, reading: Reading) -> bool:
        if reading.trouble is not None:
            return True
        return self.order.worse(reading.value, reading.others[0].value, Margin(self.parameters.gap))
