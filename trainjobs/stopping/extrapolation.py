"""Extrapolation: what is left of the run will hardly improve on the best so far.

The question is that of Domhan, Springenberg and Hutter, "Speeding Up Automatic Hyperparameter Optimization of Deep
Neural Networks by Extrapolation of Learning Curves", IJCAI 2015 (also Swersky, Snoek and Adams, "Freeze-Thaw Bayesian
Optimization", 2014, and Adriaensen et al., "Efficient Bayesian Learning Curve Extrapolation using Prior-Data Fitted
Networks", NeurIPS 2023). The answer is a logistic regression on what has no unit, fitted to the tuning runs of
tests/data/curves by `tests/benchmarks/extrapolation.py`, where it was better calibrated than averaged curves
and a random walk.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from trainjobs.api import stopping as api
from trainjobs.api.stopping import MinDeltaMode
from trainjobs.stopping.earliest import Needs
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Improvement, Standing
from trainjobs.stopping.monitored import Monitored, Reading
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.windowed import Values, mean, slope
from trainjobs.stopping.wording import number, reports

REPORTS: Final = 10
"""Finite values that are needed before it judges."""
WINDOW: Final = 20
"""Last values that noise and slope are taken from."""
LEVEL: Final = 5
"""Last values whose mean is where the metric is now."""
FARTHEST: Final = 15.0
"""What a distance counts at most: on a constant metric there is no noise to measure it by."""
WEIGHTS: Final = (-3.216, 0.47, -0.857, 0.932, 0.468, 0.185, -0.657, -0.191, 0.015, -2.084)
"""Of the `features`, printed by the benchmark."""


@dataclass(frozen=True, slots=True)
class PartialCurve:
    """State: the last value that counted as improvement, the last ones, and how far the run is."""

    first: float = 0.0
    """The first finite value."""
    best: Standing | None = None
    recent: Values = ()
    finite: int = 0
    """Reports with a finite value."""
    seen: int = 0
    """Reports."""
    waited: int = 0
    """Reports since the best."""
    begun: int = 0
    """Epochs or steps, in the unit of the run's length, finished at the first report."""
    done: int = 0
    """The same at the latest."""


class Extrapolation(Monitored[api.Extrapolation, PartialCurve]):
    """Stops when the best of what is left improves on the best so far with less than a `probability`."""

    def __init__(self, parameters: api.Extrapolation, scope: Scope) -> None:
        super().__init__(parameters, scope)
        self._length = scope.known_length()
        mode, margin = parameters.min_delta_mode, parameters.min_delta
        self._improvement = Improvement.of(self.order.mode, margin, mode)

    def begin(self) -> PartialCurve:
        return PartialCurve()

    def advance(self, state: PartialCurve, reading: Reading) -> PartialCurve:
        state = replace(state, seen=state.seen + 1, waited=state.waited + 1)
        if not math.isfinite(reading.value):
            return state
        first = state.first if state.finite else reading.value
        recent = (*state.recent, reading.value)[-WINDOW:]
        state = replace(state, first=first, recent=recent, finite=state.finite + 1)
        if not self._improvement.counts(reading.value, state.best.value if state.best else None):
            return state
        return replace(state, best=Standing(reading.value, reading.epoch, reading.step), waited=0)

    def take(self, state: PartialCurve, seen: Observation) -> PartialCurve:
        done = self._length.named(seen.epochs, seen.step)
        return replace(state, done=done, begun=done if state.seen == 1 else state.begun)

    def reached(self, state: PartialCurve, reading: Reading) -> bool:
        return self.chance(state) < self.parameters.probability

    def conclude(self, state: PartialCurve, reading: Reading) -> Verdict:
        chance, limit = self.chance(state), self.parameters.probability
        return Verdict(
            stop=chance < limit,
            reason=self._reason(state, reading, chance),
            metric=reading.metric,
            value=reading.value,
            best=state.best.value if state.best else None,
            best_epoch=state.best.epoch if state.best else None,
            closeness=1.0 if chance < limit else limit / chance,
            waiting=f"{100 * chance:.3g}%/{100 * limit:.3g}%",
        )

    def needs(self) -> Needs:
        return Needs(REPORTS)

    def chance(self, state: PartialCurve) -> float:
        """Probability that the rest of the run improves; 1 while nobody can tell."""
        left = self.left(state)
        if state.best is None or state.finite < REPORTS or not math.isfinite(left):
            return 1.0
        if left <= 0:
            return 0.0
        gains = tuple(self.order.gain(value) for value in state.recent)
        first, best = self.order.gain(state.first), self.order.gain(state.best.value)
        return logistic(
            features(gains, (first, best, best + self._margin(state.best)), left, state.waited, state.seen)
        )

    def left(self, state: PartialCurve) -> float:
        """Reports that are left at the pace so far; infinite while there is none."""
        trained = state.done - state.begun
        rest = self._length.amount - state.done
        return rest * (state.seen - 1) / trained if trained > 0 else math.inf

    def _margin(self, best: Standing) -> float:
        size = self.parameters.min_delta
        return size * abs(best.value) if self.parameters.min_delta_mode == MinDeltaMode.RELATIVE else size

    def _reason(self, state: PartialCurve, reading: Reading, chance: float) -> str:
        if state.best is None:
            return f"{reading.label} has had no finite value yet"
        if state.finite < REPORTS:
            return f"{reading}: of the {REPORTS} finite values that it takes there are {state.finite}"
        left = self.left(state)
        if not math.isfinite(left):
            return f"{reading}: how many reports are left is not known yet"
        margin, whole = self._margin(state.best), round(left)
        by = f" by more than {number(margin)}" if margin else ""
        side = "less" if chance < self.parameters.probability else "no less"
        return (
            f"{reading} will improve on {number(state.best.value)} ({self.when(state.best)}){by} "
            f"in the {reports(whole)} that {'is' if whole == 1 else 'are'} left with probability {chance:.2g}, "
            f"{side} than {number(self.parameters.probability)}"
        )


def features(gains: Values, known: Values, left: float, waited: int, seen: int) -> Values:
    """What the probability depends on, without a unit.

    Three counts (left, waited, seen: of values without any trend, the best of the next `left` beats the best of `seen`
    with left / (left + seen)); four distances in standard deviations of the noise: to the goal, also squared; along
    the slope; of the goal beyond the last values; and covered so far; and the share of the last steps that went down.

    Args:
        gains: the last values; higher is better.
        known: the first value, the best, and the goal, which is the best and the margin.
        left: reports that are left.
        waited: reports since the best.
        seen: reports.
    """
    size = max(map(abs, (*gains, *known))) or 1.0
    last = tuple(gain / size for gain in gains)
    first, best, goal = (gain / size for gain in known)
    steps = [after - before for before, after in pairwise(last)]
    noise = math.sqrt(sum(step * step for step in steps) / (2 * len(steps)))
    counts = (math.log(max(left, 1.0)), math.log(waited + 1), math.log(seen))
    ways = (goal - mean(last[-LEVEL:]), slope(last) * left, goal - max(last), best - first)
    distances = tuple(_in_noise(way, noise) for way in ways)
    worse = sum(step < 0 for step in steps) / len(steps)
    return (1.0, *counts, *distances, distances[0] * abs(distances[0]), worse)


def logistic(parts: Values) -> float:
    score = sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True))
    return 1 / (1 + math.exp(-score))


def _in_noise(way: float, noise: float) -> float:
    if way == 0:
        return 0.0
    return math.copysign(min(FARTHEST, math.asinh(abs(way) / noise)) if noise > 0 else FARTHEST, way)
