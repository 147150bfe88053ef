"""Threshold: a metric has reached a value."""

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number


class Threshold(Monitored[api.Threshold, float | None]):
    """Stops when the latest value is at the goal or better; the state is the first finite value."""

    def begin(self) -> float | None:
        return None

    def advance(self, state: float | None, reading: Reading) -> float | None:
        return reading.value if state is None and reading.trouble is None else state

    def reached(self, state: float | None, reading: Reading) -> bool:
        return not self.order.worse(reading.value, self.parameters.value)

    def conclude(self, state: float | None, reading: Reading) -> Verdict:
        goal = self.parameters.value
        reached = self.reached(state, reading)
        return Verdict(
            stop=reached,
            reason=f"{reading} has {'' if reached else 'not '}reached {number(goal)}",
            metric=reading.metric,
            value=reading.value,
            closeness=1.0 if reached else self._covered(state, reading),
            waiting=f"{number(reading.value)}/{number(goal)}",
        )

    def needs(self) -> Needs:
        return Needs(1)

    def _covered(self, first: float | None, reading: Reading) -> float:
        """How much of the way from the first value to the goal is covered; 0 if there is no such way."""
        if first is None or reading.trouble is not None:
            return 0.0
        return self.order.covered(first, reading.value, self.parameters.value)
