"""What all criteria that judge a metric share: reading it, smoothing it, and the rule for NaN."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from trainjobs.api import stopping as api
from trainjobs.api.stopping import NonFinite
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.improvement import Order
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.smoothing import Smoother, Unsmoothed, smoother
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import Moment, number, when

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
    epochs: int
    """Finished epochs."""
    others: tuple["Reading", ...] = ()
    """The parameters' `other_metrics` at the same observation."""

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

    smooths_others: ClassVar[bool] = True
    """Whether the parameters' `other_metrics` are smoothed as `monitor` is."""

    def __init__(self, parameters: P, scope: Scope) -> None:
        self.parameters = parameters
        self.order = Order(parameters.mode or scope.mode)
        self._path = scope.path
        self._metric = scope.metric(parameters.monitor)
        own = smoother(parameters.smoothing or scope.smoothing)
        others = len(parameters.other_metrics) * (own if self.smooths_others else Unsmoothed(),)
        self._smoothers = (own, *others)
        self._non_finite = parameters.non_finite or scope.non_finite
        self._unit = scope.unit

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

    def take(self, state: S, seen: Observation) -> S:
        """The state with what else a family takes from an observation, after `advance`; most take nothing."""
        return state

    def reached(self, state: S, reading: Reading) -> bool:
        """Whether `conclude` says stop; a family that can tell without the sentence does so here."""
        return self.conclude(state, reading).stop

    def when(self, moment: Moment) -> str:
        """The place of a reading in a sentence, in the unit of the run's length."""
        return when(moment, self._unit)

    def start(self) -> Watch[S]:
        return Watch(tuple(each.start() for each in self._smoothers), None, self.begin())

    def update(self, state: Watch[S], seen: Observation) -> Watch[S]:
        found = [seen.read(metric, self.parameters.when_missing, self._path) for metric in self._metrics]
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            return state
        if self._non_finite == NonFinite.IGNORE and not all(map(math.isfinite, values)):
            return state
        smoothed = tuple(map(_smooth, self._smoothers, state.smoothed, values))
        others = tuple(self._reading(i, values[i], smoothed[i], seen) for i in range(1, len(values)))
        reading = self._reading(0, values[0], smoothed[0], seen, others)
        return Watch(smoothed, reading, self.take(self.advance(state.inner, reading), seen))

    def judge(self, state: Watch[S]) -> Verdict:
        if state.latest is None:
            return Verdict(False, f"{self._metric} has not been seen yet", self._metric, undecided=True)
        verdict = self.conclude(state.inner, state.latest)
        trouble = state.latest.trouble
        if trouble is None or self._non_finite != NonFinite.STOP:
            return verdict
        reason = f"{trouble.label} is {number(trouble.value)} at {self.when(trouble)}"
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

    def _reading(
        self, i: int, value: float, smoothed: Any, seen: Observation, others: tuple[Reading, ...] = ()
    ) -> Reading:
        metric = self._metrics[i]
        if not math.isfinite(value):
            return Reading(metric, metric, value, seen.epoch, seen.step, seen.epochs, others)
        label, judged = self._labels[i], self._smoothers[i].value(smoothed)
        return Reading(metric, label, judged, seen.epoch, seen.step, seen.epochs, others)

    @cached_property
    def _metrics(self) -> tuple[str, ...]:
        return (self._metric, *self.parameters.other_metrics)

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        pairs = zip(self._metrics, (each.label for each in self._smoothers), strict=True)
        return tuple(f"{metric} ({label})" if label else metric for metric, label in pairs)


def _smooth(smoother: Smoother[Any], state: Any, value: float) -> Any:
    return smoother.update(state, value) if math.isfinite(value) else state
