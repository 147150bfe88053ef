"""What Prometheus can ask of TrainSweeps. What they wrote themselves is bounded by what the operator knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from trainjob_operator.trainjob.metrics import Objects, States, counted, lifetime_s
from trainjobs.api.reading import read_sweep_status
from trainjobs.api.status import Accounting
from trainjobs.api.sweep_status import TrialCounts
from trainjobs.kube.resources import Object

MOST_TRIALS: Final = 100_000
"""Trials that a sweep can have, by its schema."""

OUTCOMES: Final = {
    "succeeded": "succeeded", "earlyStopped": "early_stopped", "pruned": "pruned", "failed": "failed"
}  # fmt: skip
"""Ends of trials, each with its field of the counts."""


class SweepMetrics:
    """Those of TrainSweeps."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._trials = Counter(
            "trainjobs_sweep_trials",
            "Trials of sweeps that have ended.",
            ["outcome"],
            registry=self.registry,
        )
        self._gpu_seconds = Counter(
            "trainjobs_sweep_gpu_seconds",
            "Seconds times GPUs of sweeps that have ended: used, and saved by estimate.",
            ["kind"],
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self._trials.labels(outcome)
        for kind in ("used", "saved"):
            self._gpu_seconds.labels(kind)

    def alive(self, trainjob: Object) -> None:
        """One has not ended; all that its end counts is there from the start."""

    def ended(self, trainjob: Object) -> None:
        """A TrainSweep has ended: count it once."""
        status = read_sweep_status(trainjob.get("status"), datetime.now(UTC))
        trials, accounting = status.trials or TrialCounts(), status.accounting or Accounting()
        for outcome, field in OUTCOMES.items():
            self._trials.labels(outcome).inc(min(getattr(trials, field), MOST_TRIALS))
        trainer = counted(trainjob["spec"]["trainer"])
        gpu_s = lifetime_s(trainjob, status.completion_time) * trainer.num_gpus
        self._gpu_seconds.labels("used").inc(min(accounting.gpu_seconds_used, gpu_s))
        self._gpu_seconds.labels("saved").inc(min(accounting.gpu_seconds_saved, gpu_s * MOST_TRIALS))

    def watch(self, sweeps: Objects) -> None:
        """Count these whenever Prometheus asks."""
        self.registry.register(States("trainjobs_trainsweeps", "TrainSweeps that are there.", sweeps))
