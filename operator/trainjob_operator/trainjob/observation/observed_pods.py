"""What the operator reads of a Job's pods, when it asks for them: a small copy of each, and Events about them.

Whoever may make pods and Events in a namespace can make many, with labels, annotations and texts of any length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjobs.api.pod_contract import INDEX
from trainjobs.api.trainjob import MOST_PODS
from trainjobs.kube.client import Listing
from trainjobs.kube.resources import Object

MOST_LOOKED_AT: Final = 2 * MOST_PODS
"""Pods: as many as a Job has at a time, and their forerunners."""
MOST_WARNINGS: Final = 1000
_LONGEST_NOTE: Final = 1024
"""Bytes that the API server takes as an Event's note; what is written as a core/v1 Event may be longer."""


def looked_at(pages: Iterable[Listing], job: ObservedJob) -> list[Object]:
    """Of the pods that pages list, and the Job has made, what is read."""
    return [pod_projection(pod) for pod in _first(pages, MOST_LOOKED_AT) if made_by(job, pod)]


def warnings(pages: Iterable[Listing]) -> list[Object]:
    """Of the Events that pages list what is read."""
    return [event_projection(event) for event in _first(pages, MOST_WARNINGS)]


def pod_projection(pod: Object) -> Object:
    """What is read of a pod: without its template, which may be a megabyte and is in each of ten thousand."""
    metadata, spec = pod["metadata"], pod.get("spec", {})
    labels = metadata.get("labels", {})
    return {
        "metadata": {
            **_chosen(metadata, ("name", "creationTimestamp", "deletionTimestamp")),
            "labels": _chosen(labels, (INDEX,)),
        },
        "spec": {"nodeName": spec.get("nodeName", "")},
        "status": pod.get("status", {}),
    }


def made_by(job: ObservedJob, pod: Object) -> bool:
    """Whether a pod is the Job's. Its labels anybody may put on a pod, and then speak for the run."""
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == job.uid and owner.get("controller") for owner in owners)


def event_projection(event: Object) -> Object:
    """What is read of an Event."""
    return {
        **_chosen(event, ("series", "deprecatedLastTimestamp", "eventTime", "reason")),
        "regarding": _chosen(event["regarding"], ("kind", "name")),
        "note": event.get("note", "")[:_LONGEST_NOTE],
    }


def _first(pages: Iterable[Listing], most: int) -> Iterable[Object]:
    return islice((item for page in pages for item in page.items), most)


def _chosen(part: Object, fields: tuple[str, ...]) -> Object:
    return {name: part[name] for name in fields if name in part}


@dataclass(frozen=True, slots=True)
class ObservedPods:
    """The pods of a Job that does not run or has failed."""

    pods: list[Object]
    warnings: list[Object] = field(default_factory=list)
    """Events of type Warning about what `diagnosis.unexplained` names."""
