"""Percentile: not among the best share of the trials at the same epoch.

Prune at epoch e when objective(e) is worse than the value that `keep` percent of the others' objectives as of epoch
e do not exceed, interpolated linearly between the two nearest (the rule of Optuna's `PercentilePruner`). The others
are all that have reached e, whether they still train or not. One pass over the trials.
"""

from collections.abc import Sequence

from trainjobs.api import pruning as api
from trainjobs.stopping.across.comparison import Comparison
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, other_trials


class Percentile:
    """Prunes what is worse than the best `keep` percent."""

    def __init__(self, parameters: api.Percentile) -> None:
        self._keep = parameters.keep

    def judge(self, seen: Comparison) -> Verdict:
        label = f"the best {number(self._keep)} % ({{}}) of {{}}"
        return worse_than_quantile(seen, self._keep / 100, label)


def worse_than_quantile(seen: Comparison, share: float, label: str) -> Verdict:
    """Whether the trial is worse than the quantile; `label` names it, and has places for its value and for them."""
    epoch = seen.mine.epoch
    others = seen.reached(epoch)
    if len(others) < seen.min_trials:
        return seen.too_few(len(others), epoch)
    standing, limit = seen.mine.standings[-1], quantile(others, share)
    named = label.format(seen.name(limit), other_trials(len(others)))
    verb = "is worse than" if standing > limit else "is not worse than"
    return seen.verdict(standing > limit, standing, limit, f"{verb} {named}")


def quantile(ascending: Sequence[float], share: float) -> float:
    """By linear interpolation; between a number and infinity it is infinite."""
    place = share * (len(ascending) - 1)
    low = ascending[int(place)]
    high = ascending[min(int(place) + 1, len(ascending) - 1)]
    part = place - int(place)
    return low if part == 0 or low == high else low + part * (high - low)
