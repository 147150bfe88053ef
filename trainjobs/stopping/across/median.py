"""Median: worse than the median of the others at the same epoch.

Prune at epoch e when objective(e) > median of the others' objectives as of epoch e, for a metric to be minimised.
Source: the median stopping rule of Golovin et al., "Google Vizier" (KDD 2017), section 3.2.2, with the others' values
at that epoch in place of their running averages, as Optuna's `MedianPruner` has it. One pass over the trials.
"""

from trainjobs.api import pruning as api
from trainjobs.stopping.across.comparison import Comparison
from trainjobs.stopping.across.percentile import worse_than_quantile
from trainjobs.stopping.verdict import Verdict


class Median:
    """Prunes what is worse than half of the others."""

    def __init__(self, parameters: api.Median) -> None:
        pass

    def judge(self, seen: Comparison) -> Verdict:
        return worse_than_quantile(seen, 0.5, "the median {} of {}")
