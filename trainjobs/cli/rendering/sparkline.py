"""A metric's curve in a few characters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

WIDTH = 24
SCALED = 8
"""Latest values that the scale is made for: a plateau is flat beside the steep beginning of a run."""
_LEVELS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The latest `WIDTH` values; one that is not finite is an x."""

    values: Sequence[float]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not options.ascii_only:
            yield Segment(drawn(self.values[-WIDTH:]), console.get_style("cyan"))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = 0 if options.ascii_only else WIDTH  # so that what is beside it does not move
        return Measurement(width, width)


def drawn(values: Sequence[float]) -> str:
    """One character for each value, from the lowest of the latest to the highest of them; what lies beyond is cut."""
    finite = [value for value in values[-SCALED:] if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_level(value, low, high) for value in values)


def _level(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "x"
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0
    return _LEVELS[int(max(0.0, min(share * len(_LEVELS), len(_LEVELS) - 1.0)))]
