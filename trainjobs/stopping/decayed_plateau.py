"""Decayed plateau: no improvement at a learning rate that has been reduced and has settled."""

import math
from dataclasses import dataclass, replace

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Improvement, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.windowed import ROUNDING
from trainjobs.stopping.wording import number, reports

STEP = 0.5
"""A rate that falls to this share or less from one report to the next has made a step; a cosine's last few reports
apart, smooth schedules make none."""
_ROUNDED = 1 + ROUNDING
"""Schedulers multiply what they have reduced before: 0.1 · 0.1 · 0.1 is a little more than 0.01 · 0.1."""


@dataclass(frozen=True, slots=True)
class Settling:
    """State: the best value, the reports that have counted since, and what the learning rate has done."""

    best: Standing | None = None
    waited: int = 0
    rate: float = 0.0
    peak: float = 0.0
    cooling: int = 0
    """Reports that are still not counted after a step."""
    frozen: str | None = None
    """Why the latest report was not counted; None if it was."""


class DecayedPlateau(Monitored[api.DecayedPlateau, Settling]):
    """Stops after `patience` reports without improvement; only reports at a settled, reduced rate count.

    Not counted are reports at a rate that is rising (warm-up, a restart), has just made a step, or is still more than
    `decayedTo` of its peak. An improvement begins the count anew whenever it comes.
    """

    smooths_others = False

    def __init__(self, parameters: api.DecayedPlateau, scope: Scope) -> None:
        super().__init__(parameters, scope)
        mode = self.order.mode
        self._improvement = Improvement.of(mode, parameters.min_delta, parameters.min_delta_mode)

    def begin(self) -> Settling:
        return Settling()

    def advance(self, state: Settling, reading: Reading) -> Settling:
        now = self._followed(state, reading.others[0])
        if self._improvement.counts(reading.value, state.best.value if state.best else None):
            return replace(now, best=Standing(reading.value, reading.epoch, reading.step), waited=0)
        return now if now.frozen else replace(now, waited=now.waited + 1)

    def reached(self, state: Settling, reading: Reading) -> bool:
        return state.frozen is None and state.waited >= self.parameters.patience

    def conclude(self, state: Settling, reading: Reading) -> Verdict:
        patience, stop = self.parameters.patience, self.reached(state, reading)
        share = min(1.0, state.waited / patience)
        return Verdict(
            stop=stop,
            reason=self._reason(state, reading),
            metric=reading.metric,
            value=reading.value,
            best=state.best.value if state.best else None,
            best_epoch=state.best.epoch if state.best else None,
            closeness=share,
            waiting=f"{state.waited}/{patience}",
        )

    def needs(self) -> Needs:
        """The first report is better than none. Then the rate makes a step, or falls in several reports without."""
        falls = 1 + math.floor(-math.log2(self.parameters.decayed_to))
        return Needs(self.parameters.patience + min(1 + self.parameters.cooldown, falls), "patience")

    def _followed(self, state: Settling, rate: Reading) -> Settling:
        """The state after one more rate; one that is not finite leaves what is known of rates, and freezes nothing."""
        if rate.trouble:
            return replace(state, frozen=None)
        peak, value = max(state.peak, rate.value), rate.value
        stepped = state.rate > 0 and value <= STEP * state.rate * _ROUNDED
        cooling = self.parameters.cooldown if stepped else state.cooling
        frozen = self._frozen(state, rate, peak, cooling)
        return replace(state, rate=value, peak=peak, cooling=max(0, cooling - 1), frozen=frozen)

    def _frozen(self, state: Settling, rate: Reading, peak: float, cooling: int) -> str | None:
        if state.peak and rate.value > state.rate * _ROUNDED:
            return f"{rate} is rising"
        if peak <= 0:
            return f"{rate} has never been above 0"
        if rate.value > self.parameters.decayed_to * peak * _ROUNDED:
            return (
                f"{rate} is more than {number(100 * self.parameters.decayed_to)}% of its peak {number(peak)}"
            )
        return f"{rate} has just been reduced" if cooling else None

    def _reason(self, state: Settling, reading: Reading) -> str:
        if state.best is None:
            return f"{reading.label} has had no finite value for {reports(state.waited)}"
        if state.waited == 0 and state.best.step == reading.step:
            told = f"{reading} is an improvement at {self.when(state.best)}"
        else:
            where = f"{number(state.best.value)} ({self.when(state.best)})"
            waited = f"for {reports(state.waited)} at a settled learning rate"
            told = f"{reading} has not improved on {where}{self._improvement.margin.told} {waited}"
        return f"{told}; not counted: {state.frozen}" if state.frozen else told
