"""Fewer points that draw the same line."""

import math
from collections.abc import Iterator, Sequence


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Which of the values to keep, ascending: all, or of each stretch its ends, its extremes, and its first gap."""
    if len(values) <= most:
        return list(range(len(values)))
    stretch = -(-len(values) // max(1, most // 5))
    starts = range(0, len(values), stretch)
    return sorted({i for at in starts for i in _of_stretch(values, range(len(values))[at : at + stretch])})


def _of_stretch(values: Sequence[float], inside: range) -> Iterator[int]:
    yield from (inside[0], inside[-1])
    finite = [i for i in inside if math.isfinite(values[i])]
    if finite:
        yield from (min(finite, key=values.__getitem__), max(finite, key=values.__getitem__))
    if len(finite) < len(inside):
        yield next(i for i in inside if not math.isfinite(values[i]))
