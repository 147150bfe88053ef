"""The kind TrainJob, ready to run: what it watches, what of that is kept, and who acts on it."""

from __future__ import annotations

from datetime import UTC, datetime

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import Controller, Host, WatchSource
from trainjob_operator.trainjob.metrics import Metrics
from trainjob_operator.trainjob.objects.names import LABEL
from trainjob_operator.trainjob.observation.excerpt import excerpt
from trainjob_operator.trainjob.observation.observed_job import job_projection
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainjob.reconcile import TrainJobReconciler
from trainjobs.kube.resources import JOBS, TRAINJOBS


def controller(host: Host, settings: Settings) -> Controller:
    """Of TrainJobs; their Jobs have the same keys."""
    trainjobs, jobs = Cache(excerpt), Cache(job_projection)
    metrics = Metrics(host.registry)
    metrics.watch(trainjobs.values)
    return Controller(
        "trainjob",
        host,
        (WatchSource(TRAINJOBS, trainjobs), WatchSource(JOBS, jobs, LABEL)),
        TrainJobReconciler(
            host.client, trainjobs, jobs, settings, metrics, host.identity, lambda: datetime.now(UTC)
        ),
    )
