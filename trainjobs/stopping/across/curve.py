"""A trial's objective by epoch, and who ranks before whom."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from trainjobs.api.monitoring import Mode
from trainjobs.api.pruning import At, Objective
from trainjobs.stopping.observation import Observation


@dataclass(frozen=True)
class Curve:
    """The objective at the end of each epoch that was reported; the last report of an epoch counts."""

    epochs: tuple[int, ...] = ()
    """Ascending."""
    values: tuple[float, ...] = ()
    """As reported, but zero has no sign; may be NaN or infinite."""
    standings: tuple[float, ...] = ()
    """The trial's objective as of each epoch: smaller is better, and infinite ranks last."""

    @classmethod
    def of(cls, history: Iterable[Observation], objective: Objective) -> Self:
        """Reports amid an epoch, and reports without the metric, are passed over."""
        return cls().after(history, objective)

    def after(self, history: Iterable[Observation], objective: Objective) -> Self:
        """The curve with more reports; what is told of an epoch replaces it and all that came after it."""
        epochs, values, standings = list(self.epochs), list(self.values), list(self.standings)
        for seen in history:
            if not seen.whole or objective.metric not in seen.metrics:
                continue
            keep = bisect_left(epochs, seen.epoch)
            del epochs[keep:], values[keep:], standings[keep:]
            values.append(float(seen.metrics[objective.metric]) + 0.0)
            cost = _cost(values[-1], objective.mode)
            epochs.append(seen.epoch)
            standings.append(min(standings[-1], cost) if keep and objective.at is At.BEST else cost)
        return type(self)(tuple(epochs), tuple(values), tuple(standings))

    @property
    def epoch(self) -> int:
        """The last one; 0 before there is one."""
        return self.epochs[-1] if self.epochs else 0

    def standing_at(self, epoch: int) -> float | None:
        """The objective as of this epoch; None for a trial that has not come so far."""
        if epoch > self.epoch:
            return None
        at = bisect_right(self.epochs, epoch)
        return self.standings[at - 1] if at else None

    def standing_from(self, epoch: int) -> float:
        """The objective at the first report at or after this epoch, or the last one. The curve is not empty."""
        return self.standings[min(bisect_left(self.epochs, epoch), len(self.epochs) - 1)]

    @cached_property
    def by_epoch(self) -> dict[int, float]:
        """The values as reported."""
        return dict(zip(self.epochs, self.values, strict=True))


def _cost(value: float, mode: Mode) -> float:
    """Smaller is better; NaN and infinity are worst. Zero has no sign, so that equal trials are told alike."""
    if not math.isfinite(value):
        return math.inf
    return (-value if mode is Mode.MAX else value) + 0.0


def shown(standing: float, mode: Mode) -> float:
    """A standing in units of the metric; NaN where nothing finite was reported."""
    if not math.isfinite(standing):
        return math.nan
    return (-standing if mode is Mode.MAX else standing) + 0.0
