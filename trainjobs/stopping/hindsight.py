"""What a stop saved and what it gave up, told by a history that went on regardless."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from trainjobs.api.stopping import Mode
from trainjobs.stopping.observation import History
from trainjobs.stopping.panel import Best
from trainjobs.stopping.replay import Alone, Replay


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric, and which direction of it is better."""

    metric: str
    mode: Mode

    def given_up(self, history: History, whole: Best, then: Best | None) -> float | None:
        """How much worse it is at one best than at the best of the whole; None where it was not reported.

        Infinite where there was none, or only a value that is not finite: no checkpoint to end with.
        """
        late = self._at(history, whole)
        early = self._at(history, then) if then else math.nan
        if late is None or early is None or not math.isfinite(late):
            return None
        if not math.isfinite(early):
            return math.inf
        return late - early if self.mode == Mode.MAX else early - late

    def _at(self, history: History, best: Best) -> float | None:
        return history[best.report - 1].metrics.get(self.metric)


@dataclass(frozen=True, slots=True)
class Hindsight:
    """Of one criterion on one history."""

    saved: float
    """Share of the history's epochs after the stop, 0 to 1; of its steps, where it stopped or ended amid an epoch."""
    given_up: dict[str, float]
    """By metric, in its unit: how much worse it is at the best until the stop than at the best of the whole history.

    Never negative for the metric that decides which is best. A metric not reported there is left out.
    """


def outcome(history: History, again: Replay, alone: Alone, metrics: Iterable[Judged]) -> Hindsight:
    """What a criterion of a replay of this history did; the history is not empty."""
    then = alone.stop.best if alone.stop else again.best
    if again.best is None:
        return Hindsight(_saved(history, alone), {})
    found = {judged.metric: judged.given_up(history, again.best, then) for judged in metrics}
    return Hindsight(_saved(history, alone), {name: lost for name, lost in found.items() if lost is not None})


def _saved(history: History, alone: Alone) -> float:
    if alone.stop is None:
        return 0.0
    end, saved = history[-1], alone.stop.saved
    if alone.stop.whole and end.whole:
        return saved.epochs / end.epochs
    return saved.steps / end.step if end.step else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Of many figures."""

    mean: float
    p95: float
    """At most one figure in twenty is larger."""
    worst: float
    """The largest."""

    @classmethod
    def of(cls, figures: Iterable[float]) -> Self:
        """Raises ValueError if there are none."""
        ordered = sorted(figures)
        if not ordered:
            raise ValueError("no figures: there is no spread of nothing")
        rank = math.ceil(0.95 * len(ordered)) - 1
        return cls(math.fsum(ordered) / len(ordered), ordered[rank], ordered[-1])


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one criterion on many histories."""

    name: str
    histories: int
    stopped: int
    """Histories that it would have ended early."""
    saved: float
    """Mean share of the epochs, 0 to 1."""
    given_up: dict[str, Spread]
    """By metric, in its unit; of the histories that reported it."""

    @classmethod
    def of(cls, name: str, outcomes: Sequence[Hindsight]) -> Self:
        """Raises ValueError if there are none."""
        if not outcomes:
            raise ValueError("no outcomes: there is no summary of nothing")
        saved = [each.saved for each in outcomes]
        lost: dict[str, list[float]] = {}
        for each in outcomes:
            for metric, figure in each.given_up.items():
                lost.setdefault(metric, []).append(figure)
        spreads = {metric: Spread.of(figures) for metric, figures in lost.items()}
        return cls(
            name, len(saved), sum(share > 0 for share in saved), math.fsum(saved) / len(saved), spreads
        )
