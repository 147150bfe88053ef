"""Wilcoxon: significantly worse than the best trial, epoch by epoch.

Over the epochs that both have reported finite values for, the differences to the best other trial are ranked by
magnitude (mean ranks for ties, zeros left out); W is the sum of the ranks of those where this trial is worse. Prune
when P(W' >= W) < pThreshold under the hypothesis that each difference has either sign with equal chance: exactly for
at most 50 differences, by the normal approximation beyond. It never prunes a trial whose objective is no worse.
It suits objectives whose epochs are comparable measurements, such as folds or seeds; those of a learning curve are
not independent, which makes it eager.
Source: Wilcoxon, "Individual Comparisons by Ranking Methods" (1945); as a pruner: Optuna's `WilcoxonPruner`.
Cost: one pass over the trials, and n additions of integers of 64 n² bits for n differences, once per report.
"""

import math
import struct
from collections.abc import Sequence

from trainjobs.api import pruning as api
from trainjobs.api.monitoring import Mode
from trainjobs.stopping.across.comparison import Comparison
from trainjobs.stopping.across.curve import Curve
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number

EXACT = 50
"""Differences up to which the distribution is counted out."""


class Wilcoxon:
    """Prunes by a signed-rank test against the best other trial."""

    def __init__(self, parameters: api.Wilcoxon) -> None:
        self._threshold = parameters.p_threshold

    def judge(self, seen: Comparison) -> Verdict:
        epoch = seen.mine.epoch
        reached = [curve for curve in seen.others.values() if curve.epoch >= epoch]
        if len(reached) < seen.min_trials:
            return seen.too_few(len(reached), epoch)
        best = _best(reached)
        worse_by = differences(seen.mine, best, seen.objective.mode)
        chance = p_value(worse_by)
        standing, against = seen.mine.standings[-1], best.standings[-1]
        stop = chance < self._threshold and standing > against
        verb = "is significantly worse than" if stop else "is not significantly worse than"
        test = f"(p {number(chance)}, pThreshold {number(self._threshold)}, {len(worse_by)} epochs)"
        return seen.verdict(
            stop, standing, against, f"{verb} the best of the others, {seen.name(against)} {test}"
        )


def differences(mine: Curve, best: Curve, mode: Mode) -> list[float]:
    """By how much `mine` is worse at each epoch that both have finite values for."""
    sign = -1 if mode is Mode.MAX else 1
    pairs = ((value, best.by_epoch.get(epoch, math.nan)) for epoch, value in mine.by_epoch.items())
    found = [sign * (value - other) for value, other in pairs]
    return [difference for difference in found if math.isfinite(difference)]


def p_value(worse_by: Sequence[float]) -> float:
    """Chance of so large a sum of ranks of positive differences, if signs came by chance; 1 without differences."""
    ranks = doubled_ranks([d for d in worse_by if d])
    sum_of_worse = sum(rank for rank, d in ranks if d > 0)
    sizes = [rank for rank, _ in ranks]
    if not sizes:
        return 1.0
    return _exact(sizes, sum_of_worse) if len(sizes) <= EXACT else _normal(sizes, sum_of_worse)


def doubled_ranks(differences: Sequence[float]) -> list[tuple[int, float]]:
    """Each difference with twice its rank by magnitude: twice, so that the mean rank of ties is whole."""
    ascending = sorted(map(abs, differences))
    first = {size: i for i, size in reversed(list(enumerate(ascending, 1)))}
    last = {size: i for i, size in enumerate(ascending, 1)}
    return [(first[abs(d)] + last[abs(d)], d) for d in differences]


def _exact(sizes: Sequence[int], least: int) -> float:
    """By the number of ways to each sum: one integer holds them all, 64 bits each, of which 50 can be needed."""
    ways = 1
    for size in sizes:
        ways += ways << 64 * size
    count = sum(sizes) - least + 1
    found = struct.unpack(f"<{count}Q", (ways >> 64 * least).to_bytes(8 * count, "little"))
    return float(sum(found) / 2 ** len(sizes))


def _normal(sizes: Sequence[int], least: int) -> float:
    mean, variance = sum(sizes) / 2, sum(size * size for size in sizes) / 4
    return 0.5 * math.erfc((least - 1 - mean) / math.sqrt(2 * variance))


def _best(curves: Sequence[Curve]) -> Curve:
    """Which of equally good trials it is never depends on the order they came in."""
    least = min(curve.standings[-1] for curve in curves)
    equals = [curve for curve in curves if curve.standings[-1] == least]
    return min(equals, key=lambda curve: (curve.standings, tuple(map(repr, curve.values))))
