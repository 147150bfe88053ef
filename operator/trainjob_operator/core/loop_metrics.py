"""What Prometheus can ask of queues, passes and the Lease.

Names are controller-runtime's, so that its dashboards fit.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class LoopMetrics:
    """Those of all controllers of a process; each is told apart by its name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Passes over an object.",
            ["controller", "result"],
            registry=registry,
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors",
            "Passes that failed.",
            ["controller"],
            registry=registry,
        )
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Seconds of a pass.",
            ["controller"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self.workers = Gauge(
            "controller_runtime_active_workers",
            "Workers that are busy.",
            ["controller"],
            registry=registry,
        )
        self.depth = Gauge("workqueue_depth", "Keys that wait for a worker.", ["name"], registry=registry)
        self.leading = Gauge(
            "leader_election_master_status",
            "1 on the operator that works, else 0.",
            ["name"],
            registry=registry,
        )
