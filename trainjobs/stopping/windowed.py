"""Statistics of the last values: what the criteria with a `window` share.

Sums are of differences from the first value, so a constant window is exactly constant. Values too large to be added up
give a NaN, which is within no limit.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

Values: TypeAlias = tuple[float, ...]

ROUNDING = 1e-12
"""Far more than the error of a statistic in floating point, as a share of the values that go into it."""


def mean(values: Sequence[float]) -> float:
    return values[0] + sum(value - values[0] for value in values) / len(values)


def slope(values: Sequence[float]) -> float:
    """Of the least-squares line through values at 0, 1, 2 …; at least two of them."""
    last = len(values) - 1
    pairs = range(len(values) // 2)
    rise = sum((last - 2 * i) * (values[last - i] - values[i]) for i in pairs)
    return 6 * rise / (last * (last + 1) * (last + 2))


def deviation(values: Sequence[float]) -> float:
    """The sample's standard deviation; at least two values."""
    square = comoment(values, values) / (len(values) - 1)
    return math.sqrt(square) if square > 0 else abs(square)


def comoment(one: Sequence[float], other: Sequence[float]) -> float:
    """Sum of the products of both values' distances from their means."""
    x, y = mean(one), mean(other)
    return sum((a - x) * (b - y) for a, b in zip(one, other, strict=True))


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's coefficient; NaN where one of them is constant."""
    spread = math.sqrt(comoment(one, one)) * math.sqrt(comoment(other, other))
    return max(-1.0, min(1.0, comoment(one, other) / spread)) if spread > 0 else math.nan


def share(part: float, whole: float) -> float:
    """What share of the whole a part is, 0 to 1."""
    if part >= whole:
        return 1.0
    return part / whole if 0 < part < math.inf else 0.0
