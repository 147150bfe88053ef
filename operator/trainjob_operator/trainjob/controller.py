"""The kind TrainJob, ready to run: what it watches, what of that is kept, and who acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import Controller, Host, WatchSource
from trainjob_operator.trainjob.metrics import EndCounter, KindMetrics, Metrics
from trainjob_operator.trainjob.objects.dependents import guards
from trainjob_operator.trainjob.observation.excerpt import excerpt
from trainjob_operator.trainjob.observation.observed_job import job_projection
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainjob.reconcile import TrainJobReconciler, View, as_it_is
from trainjobs.api.pod_contract import LABEL
from trainjobs.kube.resources import JOBS, TRAINJOBS, Object, Resource


@dataclass(frozen=True, slots=True)
class TrainedKind:
    """A kind whose objects each have one Indexed Job."""

    resource: Resource
    label: str
    """Has the object's name on all that belongs to it."""
    view: View = as_it_is
    """Shows an object as a TrainJob."""


def controller(host: Host, settings: Settings) -> Controller:
    """Of TrainJobs."""
    return controller_of(TrainedKind(TRAINJOBS, LABEL), Metrics(host.registry), host, settings)


def controller_of(kind: TrainedKind, metrics: KindMetrics, host: Host, settings: Settings) -> Controller:
    """Of a kind; its Jobs, Services and NetworkPolicies have the same keys."""

    def kept(item: Object) -> Object:
        return excerpt(kind.view(item))

    objects, jobs = Cache(kept), Cache(job_projection)
    around = {resource: Cache(projection) for resource, projection in guards(kind.label).items()}
    metrics.watch(objects.values)
    return Controller(
        kind.resource.kind.lower(),
        host,
        (
            WatchSource(kind.resource, objects),
            *(WatchSource(each, cache, kind.label) for each, cache in {JOBS: jobs, **around}.items()),
        ),
        TrainJobReconciler(
            *(
                host.client,
                objects,
                jobs,
                around,
                settings,
                EndCounter(metrics),
                host.identity,
                lambda: datetime.now(UTC),
            ),
            resource=kind.resource,
            view=kind.view,
        ),
    )
