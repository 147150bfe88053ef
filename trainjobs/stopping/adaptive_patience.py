"""Adaptive patience: a plateau by a patience or margin that changes with the share of the run that is done."""

import math
from bisect import bisect_left

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Earliest, Needs, Pace, place
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Improvement, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.plateau import Patience
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, reports


class AdaptivePatience(Monitored[api.AdaptivePatience, Patience]):
    """Stops after as many reports without improvement as patience is by then.

    With `decay` the margin falls exponentially; with `tightenAfter` patience falls and the margin rises, both in
    proportion to progress.
    """

    def __init__(self, parameters: api.AdaptivePatience, scope: Scope) -> None:
        super().__init__(parameters, scope)
        self._length = scope.known_length()

    def begin(self) -> Patience:
        return Patience()

    def advance(self, state: Patience, reading: Reading) -> Patience:
        rule = self._improvement(self._done(reading))
        if rule.counts(reading.value, state.best.value if state.best else None):
            return Patience(Standing(reading.value, reading.epoch, reading.step))
        return Patience(state.best, state.waited + 1)

    def reached(self, state: Patience, reading: Reading) -> bool:
        return state.waited >= self.patience(self._done(reading))

    def conclude(self, state: Patience, reading: Reading) -> Verdict:
        patience = self.patience(self._done(reading))
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
        return Needs(1 + self.parameters.patience, "patience")

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        """The first moment by which so many reports have waited as patience is then: it never rises."""
        if not stop or not pace.between:
            return super().earliest(first, pace, stop=stop)
        moments = range(first, first + self.parameters.patience + 1)
        enough = bisect_left(moments, True, key=lambda moment: moment - first >= self.patience(moment))
        return Earliest(moments[enough], place(self.parameters, self._path, "patience"))

    def patience(self, done: int) -> int:
        """Patience after so many epochs, or steps."""
        full, total = self.parameters.patience, self._length.amount
        return min(full, max(2, full * (total - done) // total)) if self._is_late(done) else full

    def margin(self, done: int) -> float:
        """`minDelta` after so many epochs, or steps."""
        size, progress = self.parameters.min_delta, done / self._length.amount
        if self.parameters.decay is not None:
            return size * math.exp(-self.parameters.decay * progress)
        return size * (1 + progress) if self._is_late(done) else size

    def _improvement(self, done: int) -> Improvement:
        return Improvement.of(self.order.mode, self.margin(done), self.parameters.min_delta_mode)

    def _done(self, reading: Reading) -> int:
        return min(self._length.amount, self._length.named(reading.epochs, reading.step))

    def _is_late(self, done: int) -> bool:
        after = self.parameters.tighten_after
        return after is not None and done / self._length.amount > after

    def _reason(self, state: Patience, reading: Reading) -> str:
        if state.best is None:
            return f"{reading.label} has had no finite value for {reports(state.waited)}"
        if state.waited == 0:
            return f"{reading} is an improvement at {self.when(state.best)}"
        done = self._done(reading)
        progress, by = 100 * done / self._length.amount, self._improvement(done).margin.told
        where = f"{number(state.best.value)} ({self.when(state.best)})"
        return (
            f"{reading} has not improved on {where}{by} for {reports(state.waited)}; "
            f"after {number(progress)}% of the run patience is {self.patience(done)}"
        )
