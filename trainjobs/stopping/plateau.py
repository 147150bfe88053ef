"""Plateau: a metric has not improved for a number of reports."""

from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Improvement, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports


@dataclass(frozen=True, slots=True)
class Patience:
    """State: the last value that counted as improvement, and the reports since the count was last reset."""

    best: Standing | None = None
    waited: int = 0


class Plateau(Monitored[api.Plateau, Patience]):
    """Stops after `patience` reports without improvement; best moves with every improvement.

    With a baseline an improvement resets the count only if it is also better than the baseline by more than
    `minDelta`, as in Keras' EarlyStopping, which only never stops at a value that improves.
    """

    def __init__(self, parameters: api.Plateau, scope: Scope) -> None:
        super().__init__(parameters, scope)
        mode = self.order.mode
        self._improvement = Improvement.of(mode, parameters.min_delta, parameters.min_delta_mode)

    def begin(self) -> Patience:
        return Patience()

    def advance(self, state: Patience, reading: Reading) -> Patience:
        best = state.best.value if state.best else None
        if not self._improvement.counts(reading.value, best):
            return Patience(state.best, state.waited + 1)
        waited = 0 if self._beats_baseline(reading.value) else state.waited + 1
        return Patience(Standing(reading.value, reading.epoch, reading.step), waited)

    def reached(self, state: Patience, reading: Reading) -> bool:
        return state.waited >= self.parameters.patience

    def conclude(self, state: Patience, reading: Reading) -> Verdict:
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
        """The first report improves on nothing, and so does not wait, unless there is a baseline that it misses."""
        first = 0 if self.parameters.baseline is not None else 1
        return Needs(first + self.parameters.patience, "patience")

    def _beats_baseline(self, value: float) -> bool:
        return self.parameters.baseline is None or self._improvement.counts(value, self.parameters.baseline)

    def _reason(self, state: Patience, reading: Reading) -> str:
        if state.best is None:
            return f"{reading.label} has had no finite value for {reports(state.waited)}"
        if state.waited == 0:
            return f"{reading} is an improvement at {self.when(state.best)}"
        if not self._beats_baseline(state.best.value):
            reference = f"the baseline {number(self.parameters.baseline or 0.0)}"
        else:
            reference = f"{number(state.best.value)} ({self.when(state.best)})"
        return f"{reading} has not improved on {reference}{self._improvement.margin.told} for {reports(state.waited)}"
