"""One mean out of every rank's (sum, weight): `math.fsum` over the ranks rounds once, so their order is no matter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trainjobs.coordination.errors import EpochMismatch, MetricMismatch, WeightlessMetric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def same_epoch(epochs: Sequence[int]) -> int:
    """The epoch that all ranks report. Raises EpochMismatch."""
    if len(set(epochs)) > 1:
        raise EpochMismatch(epochs)
    return epochs[0]


def means(reports: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    """Each metric's sum of sums over sum of weights; `reports` in rank order.

    NaN and infinities go through. Raises MetricMismatch, WeightlessMetric.
    """
    names = dict.fromkeys(name for report in reports for name in report)
    return {name: _mean(name, reports) for name in names}


def _mean(name: str, reports: Sequence[Mapping[str, tuple[float, float]]]) -> float:
    absent = [rank for rank, report in enumerate(reports) if name not in report]
    if absent:
        raise MetricMismatch(name, [rank for rank in range(len(reports)) if rank not in absent], absent)
    weight = _sum(report[name][1] for report in reports)
    if weight == 0:
        raise WeightlessMetric(name)
    return _sum(report[name][0] for report in reports) / weight


def _sum(values: Iterable[float]) -> float:
    """As `math.fsum`, which refuses infinities of both signs and sums too large for a float."""
    terms = list(values)
    try:
        return math.fsum(terms)
    except (OverflowError, ValueError):
        return sum(terms)
