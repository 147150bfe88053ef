"""Which trial comes next, as a searcher of Ray Tune.

Trials that an earlier process has left unfinished come first. What a random or a grid search proposes follows from
the trial's number alone; Optuna's sampler is told every trial that has ended, also those of earlier processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ray.tune.search import Searcher

from trainjobs.api.sweep import TrainSweepSpec
from trainjobs.sweeps.record import Trial, name_of
from trainjobs.sweeps.space import Parameters, drawn, grid


class Source(Protocol):
    """Makes the parameters of new trials."""

    def propose(self, number: int) -> tuple[Parameters, str] | None:
        """Of the `number`-th trial, from 1, and by whom; None when there are no more."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended; without an objective if it has failed."""


class RandomSource:
    """See `space.drawn`."""

    def __init__(self, spec: TrainSweepSpec) -> None:
        self._spec = spec

    def propose(self, number: int) -> tuple[Parameters, str] | None:
        return drawn(self._spec, number), "random"

    def ended(self, trial: Trial) -> None:
        """Nothing is learned of it."""


class GridSource:
    """See `space.grid`."""

    def __init__(self, spec: TrainSweepSpec) -> None:
        self._points = grid(spec)

    def propose(self, number: int) -> tuple[Parameters, str] | None:
        return (self._points[number - 1], "grid") if number <= len(self._points) else None

    def ended(self, trial: Trial) -> None:
        """Nothing is learned of it."""


def source_of(spec: TrainSweepSpec) -> Source:
    """What the manifest asks for. Raises ConfigError where its library is not installed."""
    if spec.search.grid is not None:
        return GridSource(spec)
    if spec.search.optuna is not None:
        from trainjobs.sweeps.model_based import OptunaSource

        return OptunaSource(spec, spec.search.optuna)
    return RandomSource(spec)


class SweepSearch(Searcher):  # type: ignore[misc]  # Ray has no types
    """Hands trials to Ray Tune, as many at a time as there are slots.

    Args:
        unfinished: trials of an earlier process that come first.
        begun: trials that were ever begun.
        begin: is told each new trial before it starts.
        ended: whether no trial is to begin any more.
    """

    def __init__(
        self,
        spec: TrainSweepSpec,
        source: Source,
        unfinished: list[Trial],
        begun: int,
        begin: Callable[[Trial], None],
        ended: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._spec, self._source = spec, source
        self._unfinished, self._begun = list(unfinished), begun
        self._begin, self._ended = begin, ended

    def suggest(self, trial_id: str) -> Any:
        """The next trial's name and parameters, or the end."""
        trial = None if self._ended() else self._next()
        if trial is None:
            return Searcher.FINISHED
        return {"trial": trial.name, "parameters": dict(trial.parameters)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The record tells the source, which knows trials by our names."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: all that is known is in the sweep's directory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def _next(self) -> Trial | None:
        if self._unfinished:
            return self._unfinished.pop(0)
        if self._begun >= self._spec.trials:
            return None
        found = self._source.propose(self._begun + 1)
        if found is None:
            return None
        self._begun += 1
        trial = Trial(name_of(self._begun), *found)
        self._begin(trial)
        return trial
