"""What all criteria that judge a metric share: reading it, smoothing it, and the rule for NaN."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from trainjobs.api import stopping as api
from trainjobs.api.stopping import NonFinite
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Order
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.smoothing import smoother
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number

P = TypeVar("P", bound=api.Monitored)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric as a criterion judges it: smoothed, unless it is NaN or infinite."""

    metric: str
    label: str
    """The metric's name in sentences, e.g. "val_loss (mean of 3)"."""
    value: float
    epoch: int
    step: int
    others: tuple["Reading", ...] = ()
    """The criterion's further metrics at the same observation."""

    @property
    def trouble(self) -> "Reading | None":
        """The first of the metrics that is NaN or infinite."""
        if not math.isfinite(self.value):
            return self
        return next((each for each in self.others if not math.isfinite(each.value)), None)

    def __str__(self) -> str:
        return f"{self.label} {number(self.value)}"


@dataclass(frozen=True, slots=True)
class Watch(Generic[S]):
    """State of a monitored criterion."""

    smoothed: tuple[Any, ...]
    """One smoother's state for each metric. NaN and infinity never enter it."""
    latest: Reading | None
    """None until something has been seen."""
    inner: S


class Monitored(ABC, Generic[P, S]):
    """A criterion that judges values of a metric; a family says how, in `begin`, `advance`, `conclude` and `needs`.

    Args:
        parameters: the family's part of the manifest.
        scope: what is around it, for what the parameters leave unset.
    """

    def __init__(self, parameters: P, scope: Scope) -> None:
        self.parameters = parameters
        self.order = Order(parameters.mode or scope.mode)
        self._path = scope.path
        self._metric = scope.metric(parameters.monitor)
        self._smoother = smoother(parameters.smoothing or scope.smoothing)
        self._non_finite = parameters.non_finite or scope.non_finite

    @property
    def other_metrics(self) -> tuple[str, ...]:
        """Metrics it reads besides `monitor`; they come as `Reading.others`."""
        return ()

    @abstractmethod
    def begin(self) -> S:
        """The family's state before the first reading."""

    @abstractmethod
    def advance(self, state: S, reading: Reading) -> S:
        """The family's state after one more reading. One with `trouble` counts against the run."""

    @abstractmethod
    def conclude(self, state: S, reading: Reading) -> Verdict:
        """The verdict after `reading`, which has been the latest `advance`."""

    @abstractmethod
    def needs(self) -> Needs:
        """The fewest reports, of finite values, with which it can stop a run, and the parameter that asks for them."""

    def reached(self, state: S, reading: Reading) -> bool:
        """Whether `conclude` says stop; a family that can tell without the sentence does so here."""
        return self.conclude(state, reading).stop

    def start(self) -> Watch[S]:
        return Watch(tuple(self._smoother.start() for _ in self._metrics), None, self.begin())

    def update(self, state: Watch[S], seen: Observation) -> Watch[S]:
        found = [seen.read(metric, self.parameters.when_missing, self._path) for metric in self._metrics]
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            return state
        if self._non_finite == NonFinite.IGNORE and not all(map(math.isfinite, values)):
            return state
        smoothed = tuple(map(self._smooth, state.smoothed, values))
        others = tuple(self._reading(i, values[i], smoothed[i], seen) for i in range(1, len(values)))
        reading = self._reading(0, values[0], smoothed[0], seen, others)
        return Watch(smoothed, reading, self.advance(state.inner, reading))

    def judge(self, state: Watch[S]) -> Verdict:
        if state.latest is None:
            return Verdict(False, f"{self._metric} has not been seen yet", self._metric, undecided=True)
        verdict = self.conclude(state.inner, state.latest)
        trouble = state.latest.trouble
        if trouble is None or self._non_finite != NonFinite.STOP:
            return verdict
        reason = f"{trouble.label} is {number(trouble.value)} at epoch {trouble.epoch}"
        return replace(
            verdict, stop=True, reason=reason, metric=trouble.metric, value=trouble.value, closeness=1.0
        )

    def stops(self, state: Watch[S]) -> bool:
        if state.latest is None:
            return False
        if self._non_finite == NonFinite.STOP and state.latest.trouble is not None:
            return True
        return self.reached(state.inner, state.latest)

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        return after_reports(self.needs() if stop else Needs(1), first, pace, self.parameters, self._path)

    def _smooth(self, state: Any, value: float) -> Any:
        return self._smoother.update(state, value) if math.isfinite(value) else state

    def _reading(
        self, i: int, value: float, smoothed: Any, seen: Observation, others: tuple[Reading, ...] = ()
    ) -> Reading:
        metric = self._metrics[i]
        if not math.isfinite(value):
            return Reading(metric, metric, value, seen.epoch, seen.step, others)
        return Reading(metric, self._labels[i], self._smoother.value(smoothed), seen.epoch, seen.step, others)

    @cached_property
    def _metrics(self) -> tuple[str, ...]:
        return (self._metric, *self.other_metrics)

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        label = self._smoother.label
        return tuple(f"{metric} ({label})" if label else metric for metric in self._metrics)
