"""What Prometheus can ask. Names of queue and loop are controller-runtime's, so that its dashboards fit."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainjob_operator.resources import Object
from trainjobs.spec.status import Baseline

CONTROLLER: Final = "trainjob"
MODEL_TYPE: Final = "trainjobs.dev/model-type"
"""Label of a TrainJob that says what kind of model it trains, for metrics."""
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Passes over an object.",
            ["controller", "result"],
            registry=self.registry,
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors",
            "Passes that failed.",
            ["controller"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Seconds of a pass.",
            ["controller"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.workers = Gauge(
            "controller_runtime_active_workers",
            "Workers that are busy.",
            ["controller"],
            registry=self.registry,
        )
        self.depth = Gauge(
            "workqueue_depth", "Keys that wait for a worker.", ["name"], registry=self.registry
        )
        self.leading = Gauge(
            "leader_election_master_status",
            "1 on the operator that works, else 0.",
            ["name"],
            registry=self.registry,
        )
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
        status: Mapping[str, Any] = trainjob.get("status") or {}
        stopping, accounting = status.get("stopping") or {}, status.get("accounting") or {}
        if stopping.get("criterion"):
            model = trainjob["metadata"].get("labels", {}).get(MODEL_TYPE, "unknown")
            self._early_stops.labels(stopping["criterion"], model).inc()
        self._saved_hours.inc(_saved_seconds(status) / 3600)
        self._gpu_seconds.labels("used").inc(accounting.get("gpuSecondsUsed", 0))
        self._gpu_seconds.labels("saved").inc(accounting.get("gpuSecondsSaved", 0))

    def watch(self, trainjobs: Callable[[], Iterable[Object]]) -> None:
        """Count these whenever Prometheus asks."""
        self.registry.register(_States(trainjobs))


def _saved_seconds(status: Mapping[str, Any]) -> float:
    training, accounting = status.get("training") or {}, status.get("accounting") or {}
    by_steps = accounting.get("baseline") == Baseline.MAX_STEPS
    trained = training.get("step" if by_steps else "epoch", 0)
    saved = accounting.get("stepsSaved" if by_steps else "epochsSaved", 0)
    return float(saved * status.get("activeSeconds", 0) / trained) if trained else 0.0


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
            conditions = status.get("conditions") or [{"reason": "New"}]
            tally[conditions[0]["reason"]] += 1
            value = (status.get("training") or {}).get("best")
            if value:
                best.add_metric(
                    [metadata["namespace"], metadata["name"], value["metric"]], float(value["value"])
                )
        for state, count in tally.items():
            states.add_metric([state], count)
        return [states, best]
