"""What Prometheus can ask of TrainJobs.

Half of what is counted was written by runs, and nothing holds them to the truth: numbers are bounded by what the
operator knows itself, words are those that there are, and what cannot be read is not counted.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainjobs.api.reading import read_status
from trainjobs.api.reasons import KubernetesReason, Reason
from trainjobs.api.status import Accounting, TrainJobStatus
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
        trainer = _counted(trainjob["spec"]["trainer"])
        accounting = status.accounting or Accounting()
        most_s = _lifetime_s(trainjob, status)
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

    def watch(self, trainjobs: Callable[[], Iterable[Object]]) -> None:
        """Count these whenever Prometheus asks."""
        self.registry.register(_States(trainjobs))


def _counted(trainer: Object) -> Trainer:
    """Of what trains, what can be counted."""
    free = ("config", "env", "code", "image")
    counted = {name: value for name, value in trainer.items() if name not in free}
    return Trainer.model_validate(counted, by_alias=True, by_name=False)


def _lifetime_s(trainjob: Object, status: TrainJobStatus) -> float:
    made = datetime.fromisoformat(trainjob["metadata"]["creationTimestamp"])
    return max(0.0, (status.completion_time - made).total_seconds()) if status.completion_time else 0.0


def _family(trainjob: Object, criterion: str) -> str:
    """What kind of criterion it is that has this name."""
    families = [Criterion.model_fields[name].alias or name for name in Criterion.alternatives()]
    for each in trainjob["spec"].get("stopping", {}).get("criteria", ()):
        if each.get("name") == criterion:
            return next((family for family in families if family in each), OTHER)
    unnamed = re.sub(r"-[0-9]+$", "", criterion)
    return unnamed if unnamed in families else OTHER


class _States(Collector):
    """TrainJobs by state, and the best values of those that monitor something."""

    def __init__(self, trainjobs: Callable[[], Iterable[Object]]) -> None:
        self._trainjobs = trainjobs

    def collect(self) -> Iterable[Metric]:
        states = GaugeMetricFamily("trainjobs_trainjobs", "TrainJobs that are there.", labels=["state"])
        best = GaugeMetricFamily(
            "trainjobs_model_performance",
            "Best value of the monitored metric.",
            labels=["namespace", "trainjob", "metric"],
        )
        tally: Tally[str] = Tally()
        for trainjob in self._trainjobs():
            status, metadata = trainjob.get("status") or {}, trainjob["metadata"]
            conditions = status.get("conditions") or [{"reason": Reason.NEW}]
            state = conditions[0]["reason"]
            tally[state if state in STATES else OTHER] += 1
            for metric, value in _best(status):
                best.add_metric([metadata["namespace"], metadata["name"], metric], value)
        for state, count in tally.items():
            states.add_metric([state], count)
        return [states, best]


def _best(status: Object) -> Iterator[tuple[str, float]]:
    known = (status.get("training") or {}).get("best")
    if known:
        try:
            yield known["metric"], float(known["value"])
        except ValueError:
            return  # an object from before the schema asked for a number
