"""Criteria across the trials of a sweep: pure functions of their histories, whatever order they came in.

A history is read once into a `Curve`, its objective by epoch. `families` is the list of criteria and `panel` all of
them together, as within a run; a verdict that says stop is a prune.
"""

from trainjobs.stopping.across.curve import Curve
from trainjobs.stopping.across.panel import PruningPanel, PruningRuling, judge

__all__ = ["Curve", "PruningPanel", "PruningRuling", "judge"]
