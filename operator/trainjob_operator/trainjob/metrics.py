"""What Prometheus can ask of TrainJobs.

Half of what is counted was written by runs, and nothing holds them to the truth: numbers are bounded by what the
operator knows itself, words are those that there are, and what cannot be read is not counted.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainjobs.api.reading import read_status
from trainjobs.api.reasons import ConditionType, KubernetesReason, Reason
from trainjobs.api.status import Accounting, Truth
from trainjobs.api.stopping import Criterion
from trainjobs.api.trainjob import Trainer, TrainJobSpec
from trainjobs.kube.resources import Key, Object, key_of

MODEL_TYPE: Final = "trainjobs.dev/model-type"
"""Label of a TrainJob that says what kind of model it trains, for metrics."""
STATES: Final = frozenset((*Reason, *KubernetesReason))
"""Reasons that are counted by name; a pod may have given another one."""
OTHER: Final = "other"
MODELS: Final = 100
"""Kinds of models that are counted by name: those first seen."""
MODELS_OF_ONE: Final = 20
"""As many of them one namespace may name, or it would leave others none."""
UNKNOWN: Final = "unknown"
"""Kind of model of a TrainJob without that label."""
NON_FINITE: Final = "nonFinite"
"""Strategy of a stop at NaN or infinity, whichever criterion saw it."""
FAMILIES: Final = tuple(Criterion.model_fields[name].alias or name for name in Criterion.alternatives())
"""Kinds of criteria, as manifests have them."""
ENDS: Final = (
    *(Reason.FINISHED, Reason.EARLY_STOPPED, Reason.STOP_REQUESTED, Reason.FAILED),
    *(Reason.STARTUP_DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, Reason.NO_PROGRESS),
    *(Reason.BACKOFF_LIMIT_EXCEEDED, Reason.USER_ERROR),
)
"""How TrainJobs end."""


Objects = Callable[[], Iterable[Object]]
"""Those of a cache, shown as TrainJobs."""


class KindMetrics(Protocol):
    """Those of one kind."""

    def alive(self, trainjob: Object) -> None:
        """One has not ended: have at 0 what its end would count, or Prometheus would miss the first of a kind."""

    def ended(self, trainjob: Object) -> None:
        """One has ended: count it once."""

    def watch(self, objects: Objects) -> None:
        """Count these whenever Prometheus asks."""


class EndCounter:
    """Counts each end once, also when the answer to its write was lost; none of what had ended before.

    The process that works looks at each object in each pass, so an end counts there that has seen it alive. Nothing
    is remembered over a restart: counters begin at 0, as Prometheus expects, and old ends are not counted again.
    """

    def __init__(self, metrics: KindMetrics) -> None:
        self._metrics = metrics
        self._alive: dict[Key, str] = {}

    def look(self, item: Object) -> None:
        """One is as it is here; passes over one key never run side by side."""
        key, uid = key_of(item), item["metadata"]["uid"]
        if "completionTime" not in (item.get("status") or {}):
            self._alive[key] = uid
            self._metrics.alive(item)
        elif self._alive.pop(key, "") == uid:
            self._metrics.ended(item)

    def gone(self, key: Key) -> None:
        """There is none of this name any more."""
        self._alive.pop(key, None)


class Metrics:
    """Those of TrainJobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._models = {UNKNOWN}
        self._named: Tally[str] = Tally()
        self._early_stops = Counter(
            "trainjobs_early_stop_events",
            "Runs that a criterion has stopped.",
            ["strategy", "model_type"],
            registry=self.registry,
        )
        self._ended = Counter(
            "trainjobs_ended", "TrainJobs that have ended, by what ended them.", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        self._saved_hours = Gauge(
            "trainjobs_training_time_saved_hours",
            "Estimate: hours that the rest up to maxEpochs or maxSteps would have taken.",
            registry=self.registry,
        )
        self._gpu_seconds = Counter(
            "trainjobs_gpu_seconds", "Seconds times GPUs of finished runs: used, and saved by estimate.", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        for family in FAMILIES:
            self._early_stops.labels(family, UNKNOWN)
        for reason in ENDS:
            self._ended.labels(reason)
        for kind in ("used", "saved"):
            self._gpu_seconds.labels(kind)

    def alive(self, trainjob: Object) -> None:
        """One has not ended: its kind of model and its criteria are counted from 0."""
        families = (family for each in _criteria(trainjob) for family in FAMILIES if family in each)
        for family in (*families, NON_FINITE):
            self._early_stops.labels(family, self._model(trainjob))

    def ended(self, trainjob: Object) -> None:
        """A TrainJob has ended: count it once."""
        self._ended.labels(_state(trainjob)).inc()
        status = read_status(trainjob.get("status"), datetime.now(UTC))
        trainer = counted(trainjob["spec"]["trainer"])
        accounting = status.accounting or Accounting()
        most_s = lifetime_s(trainjob, status.completion_time)
        gpu_s = most_s * trainer.num_gpus
        if status.stopping is not None and status.stopping.criterion is not None:
            finite = status.stopping.value is None or isfinite(float(status.stopping.value))
            family = _family(trainjob, status.stopping.criterion) if finite else NON_FINITE
            self._early_stops.labels(family, self._model(trainjob)).inc()
        self._saved_hours.inc(min(accounting.seconds_saved, most_s * trainer.length.amount) / 3600)
        self._gpu_seconds.labels("used").inc(min(accounting.gpu_seconds_used, gpu_s))
        self._gpu_seconds.labels("saved").inc(
            min(accounting.gpu_seconds_saved, gpu_s * trainer.length.amount)
        )

    def _model(self, trainjob: Object) -> str:
        metadata = trainjob["metadata"]
        model, namespace = metadata.get("labels", {}).get(MODEL_TYPE, UNKNOWN), metadata["namespace"]
        has_room = len(self._models) <= MODELS and self._named[namespace] < MODELS_OF_ONE
        if has_room and model not in self._models:
            self._models.add(model)
            self._named[namespace] += 1
        return model if model in self._models else OTHER

    def watch(self, trainjobs: Objects) -> None:
        """Count these whenever Prometheus asks."""
        self.registry.register(States("trainjobs_trainjobs", "TrainJobs that are there.", trainjobs))
        self.registry.register(_BestValues(trainjobs))
        self.registry.register(_Progress(trainjobs))


def counted(trainer: Object) -> Trainer:
    """Of what trains, what can be counted."""
    free = ("config", "env", "code", "image")
    counted = {name: value for name, value in trainer.items() if name not in free}
    return Trainer.model_validate(counted, by_alias=True, by_name=False)


def lifetime_s(item: Object, completion_time: datetime | None) -> float:
    """Seconds from when it was made to its end; 0 where that is not known."""
    made = datetime.fromisoformat(item["metadata"]["creationTimestamp"])
    return max(0.0, (completion_time - made).total_seconds()) if completion_time else 0.0


def _family(trainjob: Object, criterion: str) -> str:
    """What kind of criterion it is that has this name."""
    for each in _criteria(trainjob):
        if each.get("name") == criterion:
            return next((family for family in FAMILIES if family in each), OTHER)
    unnamed = re.sub(r"-[0-9]+$", "", criterion)
    return unnamed if unnamed in FAMILIES else OTHER


def _criteria(trainjob: Object) -> Iterable[Object]:
    """Those that the cache keeps; what cannot be read has none."""
    return _stopping(trainjob).get("criteria") or ()


def _stopping(trainjob: Object) -> Object:
    stopping = trainjob["spec"].get("stopping")
    return stopping if isinstance(stopping, dict) else {}


class States(Collector):
    """How many there are in each state, by namespace: an alert names it, and the waits of two add up to no long one."""

    def __init__(self, name: str, description: str, objects: Objects) -> None:
        self._name = name
        self._description = description
        self._objects = objects

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._description, labels=["namespace", "state"])
        found = Tally((each["metadata"]["namespace"], _state(each)) for each in self._objects())
        for labels, count in found.items():
            family.add_metric(labels, count)
        return [family]


def _state(item: Object) -> str:
    conditions = (item.get("status") or {}).get("conditions") or [{"reason": Reason.NEW}]
    reason = conditions[0]["reason"]
    return reason if reason in STATES else OTHER


class _BestValues(Collector):
    """Of those that monitor something."""

    def __init__(self, trainjobs: Objects) -> None:
        self._trainjobs = trainjobs

    def collect(self) -> Iterable[Metric]:
        best = GaugeMetricFamily(
            "trainjobs_model_performance",
            "Best value of the monitored metric.",
            labels=["namespace", "trainjob", "metric"],
        )
        for trainjob in self._trainjobs():
            metadata = trainjob["metadata"]
            for metric, value in _best(trainjob):
                best.add_metric([metadata["namespace"], metadata["name"], metric], value)
        return [best]


class _Progress(Collector):
    """Of each TrainJob: how often it was started again, and when those that run have last been heard of."""

    def __init__(self, trainjobs: Objects) -> None:
        self._trainjobs = trainjobs

    def collect(self) -> Iterable[Metric]:
        labels, now = ["namespace", "trainjob"], datetime.now(UTC)
        restarts = CounterMetricFamily(
            "trainjobs_restarts", "Attempts after the first one, for whatever cause.", labels=labels
        )
        reported = GaugeMetricFamily(
            "trainjobs_last_report_timestamp_seconds", "When a run that trains last wrote its status.", labels=labels
        )  # fmt: skip
        deadline = GaugeMetricFamily(
            "trainjobs_progress_deadline_seconds", "How long a run that trains may take for a step.", labels=labels
        )  # fmt: skip
        for trainjob in self._trainjobs():
            status, which = trainjob.get("status") or {}, [*key_of(trainjob)]
            restarts.add_metric(which, status.get("restarts", 0))
            if not _trains(status):
                continue
            known = read_status({"training": {"lastUpdateTime": _last_update(status)}}, now).training
            if known is not None and known.last_update_time is not None:
                reported.add_metric(which, known.last_update_time.timestamp())
                deadline.add_metric(which, trainjob["spec"].get("progressDeadlineSeconds", _DEADLINE_S))
        return [restarts, reported, deadline]


_DEADLINE_S: Final = TrainJobSpec.model_fields["progress_deadline_seconds"].default


def _trains(status: Object) -> bool:
    first: Object = next(iter(status.get("conditions") or ()), {})
    return (first.get("type"), first.get("status")) == (ConditionType.RUNNING, Truth.TRUE)


def _last_update(status: Object) -> object:
    return (status.get("training") or {}).get("lastUpdateTime")


def _best(trainjob: Object) -> Iterator[tuple[str, float]]:
    """Of the metric that its user monitors: a run may name another one each time, each a series of Prometheus."""
    known = ((trainjob.get("status") or {}).get("training") or {}).get("best")
    if known and known["metric"] == _stopping(trainjob).get("monitor"):
        try:
            yield known["metric"], float(known["value"])
        except ValueError:
            return  # an object from before the schema asked for a number
