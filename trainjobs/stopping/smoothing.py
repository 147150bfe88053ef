"""Smoothing of a metric before it is judged.

A window that is not full yet is judged by the values it has. The moving average is bias-corrected: the mean
of all values with weights (1 - alpha)^age, so the first is not favoured (Kingma and Ba 2015, section 3). A
curve that is constant stays exactly constant under each of them.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from trainjobs.api import stopping as api

S = TypeVar("S")


class Smoother(Protocol[S]):
    """A fold over finite values."""

    @property
    def label(self) -> str:
        """What it is called in a sentence, e.g. "mean of 3"; empty if it changes nothing."""
        ...

    def start(self) -> S: ...

    def update(self, state: S, value: float) -> S: ...

    def value(self, state: S) -> float:
        """The smoothed value; there has been at least one update."""
        ...


Values: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Unsmoothed:
    """The value itself."""

    label: str = ""

    def start(self) -> float:
        return 0.0

    def update(self, state: float, value: float) -> float:
        return value

    def value(self, state: float) -> float:
        return state


@dataclass(frozen=True, slots=True)
class Windowed:
    """A statistic of the last values."""

    window: int
    statistic: Callable[[Sequence[float]], float] = statistics.mean
    name: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} of {self.window}" if self.window > 1 else ""

    def start(self) -> Values:
        return ()

    def update(self, state: Values, value: float) -> Values:
        return (*state, value)[-self.window :]

    def value(self, state: Values) -> float:
        return float(self.statistic(state))


@dataclass(frozen=True, slots=True)
class Average:
    """State of the moving average."""

    value: float = 0.0
    weight: float = 0.0
    """Sum of the weights of all values so far, the newest having 1."""


@dataclass(frozen=True, slots=True)
class Ema:
    """Exponential moving average with bias correction."""

    alpha: float

    @property
    def label(self) -> str:
        return f"ema {self.alpha:g}" if self.alpha < 1 else ""

    def start(self) -> Average:
        return Average()

    def update(self, state: Average, value: float) -> Average:
        weight = state.weight * (1 - self.alpha) + 1
        share = 1 / weight
        return Average(state.value + (share * value - share * state.value), weight)

    def value(self, state: Average) -> float:
        return state.value


def smoother(smoothing: api.Smoothing | None) -> Smoother[Any]:
    """The smoother that a manifest asks for; without one, values stay as they are."""
    if smoothing is not None and smoothing.ema is not None:
        return Ema(smoothing.ema.alpha)
    if smoothing is not None and smoothing.mean is not None:
        return Windowed(smoothing.mean.window, statistics.mean, "mean")
    if smoothing is not None and smoothing.median is not None:
        return Windowed(smoothing.median.window, statistics.median, "median")
    return Unsmoothed()
