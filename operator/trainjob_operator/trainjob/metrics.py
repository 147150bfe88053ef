"""What Prometheus can ask of TrainJobs.

Half of what is counted was written by runs, and nothing holds them to the truth: numbers are bounded by what the
operator knows itself, words are those that there are, and what cannot be read is not counted.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainjobs.api.reading import read_status
from trainjobs.api.reasons import KubernetesReason, Reason
from trainjobs.api.status import Accounting
from trainjobs.api.stopping import Criterion
from trainjobs.api.trainjob import Trainer
from trainjobs.kube.resources import Object

MODEL_TYPE: Final = "trainjobs.dev/model-type"
"""Label of a TrainJob that says what kind of model it trains, for metrics."""
STATES: Final = frozenset((*Reason, *KubernetesReason))
"""Reasons that are counted by name; a pod may have given another one."""
OTHER: Final = "other"
MODELS: Final = 100
"""Kinds of models that are counted by name: those first seen."""


Objects = Callable[[], Iterable[Object]]
"""Those of a cache, shown as TrainJobs."""


class KindMetrics(Protocol):
    """Those of one kind."""

    def ended(self, trainjob: Object) -> None:
        """One has ended: count it once."""

    def watch(self, objects: Objects) -> None:
        """Count these whenever Prometheus asks."""


class Metrics:
    """Those of TrainJobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._models: set[str] = set()
        self._early_stops = Counter(
            "trainjobs_early_stop_events",
            "Runs that a criterion has stopped.",
            ["strategy", "model_type"],
            registry=self.registry,
        )
        self._saved_hours = Gauge(
            "trainjobs_training_time_saved_hours",
            "Estimate: hours that the rest up to maxEpochs or maxSteps would have taken.",
            registry=self.registry,
        )
        self._gpu_seconds = Counter(
            "trainjobs_gpu_seconds", "Seconds times GPUs of finished runs: used, and saved by estimate.", ["kind"],
            registry=self.registry,
        )  # fmt: skip

    def ended(self, trainjob: Object) -> None:
        """A TrainJob has ended: count it once."""
        status = read_status(trainjob.get("status"), datetime.now(UTC))
        trainer = counted(trainjob["spec"]["trainer"])
        accounting = status.accounting or Accounting()
        most_s = lifetime_s(trainjob, status.completion_time)
        gpu_s = most_s * trainer.num_gpus
        if status.stopping is not None and status.stopping.criterion is not None:
            self._early_stops.labels(
                _family(trainjob, status.stopping.criterion), self._model(trainjob)
            ).inc()
        self._saved_hours.inc(min(accounting.seconds_saved, most_s * trainer.length.amount) / 3600)
        self._gpu_seconds.labels("used").inc(min(accounting.gpu_seconds_used, gpu_s))
        self._gpu_seconds.labels("saved").inc(
            min(accounting.gpu_seconds_saved, gpu_s * trainer.length.amount)
        )

    def _model(self, trainjob: Object) -> str:
        model = trainjob["metadata"].get("labels", {}).get(MODEL_TYPE, "unknown")
        if len(self._models) < MODELS:
            self._models.add(model)
        return model if model in self._models else OTHER

    def watch(self, trainjobs: Objects) -> None:
        """Count these whenever Prometheus asks."""
        self.registry.register(States("trainjobs_trainjobs", "TrainJobs that are there.", trainjobs))
        self.registry.register(_BestValues(trainjobs))


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
    families = [Criterion.model_fields[name].alias or name for name in Criterion.alternatives()]
    for each in trainjob["spec"].get("stopping", {}).get("criteria", ()):
        if each.get("name") == criterion:
            return next((family for family in families if family in each), OTHER)
    unnamed = re.sub(r"-[0-9]+$", "", criterion)
    return unnamed if unnamed in families else OTHER


class States(Collector):
    """How many there are in each state."""

    def __init__(self, name: str, description: str, objects: Objects) -> None:
        self._name = name
        self._description = description
        self._objects = objects

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._description, labels=["state"])
        for state, count in Tally(map(_state, self._objects())).items():
            family.add_metric([state], count)
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
            for metric, value in _best(trainjob.get("status") or {}):
                best.add_metric([metadata["namespace"], metadata["name"], metric], value)
        return [best]


def _best(status: Object) -> Iterator[tuple[str, float]]:
    known = (status.get("training") or {}).get("best")
    if known:
        try:
            yield known["metric"], float(known["value"])
        except ValueError:
            return  # an object from before the schema asked for a number
