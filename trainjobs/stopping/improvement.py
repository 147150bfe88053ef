"""Better and worse, decided once for all criteria.

- A value is better than another by *more than* a margin; equal is not better.
- Values are compared as the decimals people read (the shortest text that gives the same float64), exactly:
  0.398 -> 0.397 is a gain of 0.001 and not of 0.0010000000000000009.
- A relative margin is a fraction of the reference's magnitude, so negative values have no wrong sign.
- NaN and infinity are never better and never become best.
- The best value moves only by a gain that counts, so small gains add up until together they do.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Self

from trainjobs.api.stopping import MinDeltaMode, Mode
from trainjobs.stopping.wording import number

_EXACT = Context(prec=800)
"""Enough digits for the difference of any two float64 values."""
_ROUGH = Context(prec=17)
_SURE = 1e-14
"""Far more than a float's error in three operations, as a share of what goes into them."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A distance that does not yet count."""

    size: float = 0.0
    relative: bool = False

    @classmethod
    def percent(cls, share: float) -> Self:
        """So many percent of the reference's magnitude."""
        return cls(float(_decimal(share).scaleb(-2)), relative=True)

    def of(self, reference: float) -> Decimal:
        """The margin around a reference value, in units of the metric."""
        size = _decimal(self.size)
        return _EXACT.multiply(size, abs(_decimal(reference))) if self.relative else size

    @property
    def told(self) -> str:
        """How a sentence goes on after "improved on …": " by more than 0.001", or "2%"; empty if there is none."""
        if self.size == 0:
            return ""
        return f" by more than {f'{number(100 * self.size)}%' if self.relative else number(self.size)}"


NONE = Margin()


@dataclass(frozen=True, slots=True)
class Order:
    """Which of two values is better."""

    mode: Mode

    def better(self, value: float, than: float, by_more_than: Margin = NONE) -> bool:
        """Whether a value is better than a finite reference; NaN and infinity are not."""
        return math.isfinite(value) and self._gains(value, than, by_more_than, than)

    def worse(self, value: float, than: float, by_more_than: Margin = NONE) -> bool:
        """Whether a value is worse than a finite reference; NaN and infinity count as worse."""
        return not math.isfinite(value) or self._gains(than, value, by_more_than, than)

    def excess(self, value: float, than: float) -> float:
        """By what share of a finite reference's magnitude a value is worse; 0 if it is not, infinite for NaN.

        A statistic in floating point: whether a value is worse by more than a margin, `worse` says exactly.
        """
        if not self.worse(value, than):
            return 0.0
        size = abs(value - than)
        return size / abs(than) if than and math.isfinite(size) else math.inf

    def gain(self, rise: float) -> float:
        """A rise of the metric as a gain: more is better."""
        return rise if self.mode == Mode.MAX else -rise

    def best(self, values: Iterable[float]) -> float:
        """The best of finite values."""
        return max(values) if self.mode == Mode.MAX else min(values)

    def covered(self, start: float, value: float, goal: float) -> float:
        """How much of the way from start to goal is covered, 0 to 1; 0 if start is at the goal or past it."""
        way = self._gain(goal, start)
        return max(0.0, min(1.0, float(_ROUGH.divide(self._gain(value, start), way)))) if way > 0 else 0.0

    def _gains(self, value: float, over: float, margin: Margin, reference: float) -> bool:
        """Whether the gain is more than the margin: floats tell where their rounding cannot matter, else decimals."""
        high, low = (value, over) if self.mode == Mode.MAX else (over, value)
        size = margin.size * abs(reference) if margin.relative else margin.size
        beyond = high - low - size
        if abs(beyond) > _SURE * (abs(high) + abs(low) + size) < math.inf:
            return beyond > 0
        return self._gain(value, over) > margin.of(reference)

    def _gain(self, value: float, over: float) -> Decimal:
        high, low = (value, over) if self.mode == Mode.MAX else (over, value)
        return _EXACT.subtract(_decimal(high), _decimal(low))


@dataclass(frozen=True, slots=True)
class Standing:
    """A value that counted as the best when it was seen."""

    value: float
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class Improvement:
    """The rule by which one value improves on the best before it."""

    order: Order
    margin: Margin = NONE

    @classmethod
    def of(cls, mode: Mode, min_delta: float, min_delta_mode: MinDeltaMode) -> Self:
        return cls(Order(mode), Margin(min_delta, min_delta_mode == MinDeltaMode.RELATIVE))

    def counts(self, value: float, best: float | None) -> bool:
        """Whether the value improves on the best; the first finite value does."""
        if best is None:
            return math.isfinite(value)
        return self.order.better(value, best, self.margin)


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
