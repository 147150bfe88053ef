"""Successive halving, asynchronous: from rung to rung a smaller share of the trials goes on.

Rungs are the epochs r, r·η, r·η², …, with r = minEpochs and η = reductionFactor. Of the n trials that have come to the
first rung, max(2, ⌊n/ηᵏ⌋) may be beyond the k-th. At each report a trial is judged at the last rung that it has come
to, by its objective as of that rung; of a trial that has not come so far the objective that it has counts. Equal
objectives pass together. Nobody waits for others: the first at a rung pass it, and are asked again as others come.
Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), in the variant that stops
trials instead of pausing them. There a trial that passed a rung alone is not asked again, and trains a long way before
the next. Two always go on, since which of the two is better an early rung cannot say: see
`tests/benchmarks/pruning_quality.py`. One pass over the trials.
"""

from trainjobs.api import pruning as api
from trainjobs.stopping.across.comparison import Comparison
from trainjobs.stopping.verdict import Verdict

LEAST = 2
"""Trials that go on, however many rungs there are."""


class SuccessiveHalving:
    """Prunes at rungs."""

    def __init__(self, parameters: api.SuccessiveHalving) -> None:
        self._factor = parameters.reduction_factor
        self._first = parameters.min_epochs

    def judge(self, seen: Comparison) -> Verdict:
        return judged_at_rungs(seen, self._first, self._factor)


def judged_at_rungs(seen: Comparison, first: int, factor: int, where: str = "") -> Verdict:
    """The verdict of one ladder of rungs; `where` is put behind the rung's name."""
    rung = rung_of(seen.mine.epoch, first, factor)
    if rung is None:
        return seen.undecided(f"the first rung{where} is epoch {first}", f"rung {first}")
    others = [other.standing_from(rung) for other in seen.others.values() if other.epoch >= first]
    if len(others) < seen.min_trials:
        return seen.too_few(len(others), first)
    mine = seen.mine.standing_from(rung)
    among = sorted([*others, mine])
    keep = max(LEAST, len(among) // (rung // first * factor))
    limit = among[min(keep, len(among)) - 1]
    verb = "is not among" if mine > limit else "is among"
    reason = f"{verb} the best {keep} of {len(among)} trials at the rung{where} of epoch {rung}"
    return seen.verdict(mine > limit, mine, limit, f"{reason} (limit {seen.name(limit)})", rung)


def rung_of(epoch: int, first: int, factor: int) -> int | None:
    """The last rung at or before an epoch; None before the first."""
    if epoch < first:
        return None
    rung = first
    while rung * factor <= epoch:
        rung *= factor
    return rung
