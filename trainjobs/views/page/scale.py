"""Axes: where on one a number lies, and which round numbers are written beside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from trainjobs.stopping.wording import number

_WIDE = 20
"""Positive values whose largest is so many times the smallest are shown on a logarithmic axis."""
_MARGIN = 0.04
"""Of an axis, left free at both ends."""
_SMALL, _PLACES = 0.001, 6
"""Of numbers none of which is smaller, as many decimals are shown at most."""
_MOST, _LEAST = 1e250, 1e-250
"""Numbers beyond are drawn as these."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Iterable[float], *, log: bool | None = None) -> Self:
        """The axis for these values, of which NaN and infinity do not count.

        Args:
            log: whether it is logarithmic, where all are positive; None: if they span so much.
        """
        finite = [min(max(float(value), -_MOST), _MOST) for value in values if math.isfinite(value)]
        low, high = min(finite, default=0.0), max(finite, default=1.0)
        if low > 0 and (log or (log is None and high / max(low, _LEAST) >= _WIDE)):
            low, high = max(low, _LEAST), max(high, _LEAST)
            room = math.exp(max((math.log(high) - math.log(low)) * _MARGIN, _MARGIN))
            return cls(low / room, high * room, log=True)
        room = (high - low) * _MARGIN or abs(high) * _MARGIN
        room = room if room > _LEAST else 0.5
        return cls(low - room, high + room)

    def share(self, value: float) -> float:
        """Where a finite value lies, 0 at `low` and 1 at `high`."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            low = math.log(self.low)
            return (math.log(inside) - low) / (math.log(self.high) - low)
        return (inside - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Round numbers on the axis, ascending, with how they are written."""
        found = self._decades(most) if self.log else []
        if len(found) > 1:
            return [(tick, short(tick)) for tick in found]
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        linear = dict.fromkeys((first + i) * step for i in range(most + 2))
        return [(tick, short(tick, places)) for tick in linear if self.low <= tick <= self.high]

    def _decades(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.floor(math.log10(self.high))
        mantissas = (1, 2, 5) if last - first < 2 else (1, 3) if last - first < 3 else (1,)
        all_ = [mantissa * 10.0**power for power in range(first, last + 1) for mantissa in mantissas]
        within = [tick for tick in all_ if self.low <= tick <= self.high]
        return within[:: max(1, -(-len(within) // most))]


def short(value: float, places: int | None = None) -> str:
    """A tick's number; `places` are its decimals where the axis has so many for all."""
    whole = float(value).is_integer() and abs(value) < 1e7
    if not whole and (places is None or places > 6 or abs(value) >= 1e7):
        return number(value).replace("-", "\N{MINUS SIGN}")
    return f"{value + 0.0:,.{places or 0}f}".replace("-", "\N{MINUS SIGN}")


def aligned(values: Iterable[float]) -> list[str]:
    """Numbers of a column, with one number of decimals where that shows each as `number` does."""
    given = list(values)
    words = [number(value) for value in given]
    plain = [word for word, value in zip(words, given, strict=True) if math.isfinite(value)]
    if any("e" in word for word in plain):
        return words
    places = max((len(word.partition(".")[2]) for word in plain), default=0)
    if all(abs(value) >= _SMALL or not value for value in given if math.isfinite(value)):
        places = min(places, _PLACES)
    return [
        f"{value:.{places}f}" if math.isfinite(value) else word
        for value, word in zip(given, words, strict=True)
    ]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, … times a power of ten that is not much below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.9)
