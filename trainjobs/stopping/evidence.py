"""Evidence: the gradients of the workers show no more than noise.

Mahsereci, Balles, Lassner and Hennig, "Early Stopping Without a Validation Set", 2017. The run measures it
(`trainjobs.runtime.models.gradient_statistics`); here it is judged.
"""

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import reports


class Evidence(Monitored[api.Evidence, int]):
    """Stops after `patience` successive reports above 0; the state is their number. A NaN counts as one."""

    def begin(self) -> int:
        return 0

    def advance(self, state: int, reading: Reading) -> int:
        return state + 1 if reading.trouble is not None or reading.value > 0 else 0

    def reached(self, state: int, reading: Reading) -> bool:
        return state >= self.parameters.patience

    def conclude(self, state: int, reading: Reading) -> Verdict:
        said = f"is above 0, no more than noise, for {reports(state)}" if state else "is not above 0"
        return Verdict(
            stop=self.reached(state, reading),
            reason=f"{reading} {said}",
            metric=reading.metric,
            value=reading.value,
            closeness=min(1.0, state / self.parameters.patience),
            waiting=f"{state}/{self.parameters.patience}",
        )

    def needs(self) -> Needs:
        return Needs(self.parameters.patience, "patience")
