"""What a benchmark makes of its samples: quantiles, and whether two variants differ. Standard library only."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """Of many samples, in their own unit."""

    median: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), quantile(values, 0.99), max(values))


@dataclass(frozen=True, slots=True)
class Difference:
    """Of paired samples: the median of their differences, its 95 % bootstrap interval, the sign test's p value."""

    median: float
    low: float
    high: float
    sign_p: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @classmethod
    def of(cls, values: Sequence[float], baseline: Sequence[float], seed: int = 0) -> Difference:
        gaps = [value - base for value, base in zip(values, baseline, strict=True)]
        draw = random.Random(seed)
        medians = [statistics.median(draw.choices(gaps, k=len(gaps))) for _ in range(RESAMPLES)]
        tail = (1 - CONFIDENCE) / 2
        low, high = quantile(medians, tail), quantile(medians, 1 - tail)
        return cls(statistics.median(gaps), low, high, sign_test(gaps))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def sign_test(gaps: Sequence[float]) -> float:
    """Two-sided p value of as uneven a split into positive and negative gaps, if both were equally likely."""
    positive, negative = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    count = positive + negative
    tail = sum(math.comb(count, fewer) for fewer in range(min(positive, negative) + 1))
    return min(2 * tail / 2**count, 1.0)
