"""One mean out of every rank's (sum, weight): `math.fsum` over the ranks rounds once, so their order is no matter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trainjobs.coordination.errors import EpochMismatch, MetricMismatch, WeightlessMetric

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    Report = Mapping[str, tuple[float, float]]


def same_epoch(epochs: Sequence[int]) -> int:
    """The epoch that all ranks report. Raises EpochMismatch."""
    if len(set(epochs)) > 1:
        raise EpochMismatch(epochs)
    return epochs[0]


def plain(metrics: Report) -> dict[str, tuple[float, float]]:
    """The metrics in Python's own numbers, as they travel."""
    return {name: (float(total), float(weight)) for name, (total, weight) in metrics.items()}


def means(reports: Sequence[Report], without_data: Container[int] = ()) -> dict[str, float]:
    """Each metric's sum of sums over sum of weights; `reports` in rank order.

    A metric that a rank does not report counts as (0, 0) there if the rank is one `without_data`: its share of an
    evaluation was empty. NaN and infinities go through. Raises MetricMismatch, WeightlessMetric.
    """
    names = dict.fromkeys(name for report in reports for name in report)
    return {name: _mean(name, reports, without_data) for name in names}


def _mean(name: str, reports: Sequence[Report], without_data: Container[int]) -> float:
    present = [rank for rank, report in enumerate(reports) if name in report]
    absent = [rank for rank in range(len(reports)) if rank not in present and rank not in without_data]
    if absent:
        raise MetricMismatch(name, present, absent)
    weight = _sum(reports[rank][name][1] for rank in present)
    if weight == 0:
        raise WeightlessMetric(name)
    return _sum(reports[rank][name][0] for rank in present) / weight


def _sum(values: Iterable[float]) -> float:
    """As `math.fsum`, which refuses infinities of both signs and sums too large for a float."""
    terms = list(values)
    try:
        return math.fsum(terms)
    except (OverflowError, ValueError):
        return sum(terms)
