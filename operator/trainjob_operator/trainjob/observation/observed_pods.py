"""What the operator reads of a Job's pods, when it asks for them: a small copy of each, and Events about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjobs.kube.resources import Object


def pod_projection(pod: Object) -> Object:
    """What is read of a pod: without its template, which may be a megabyte and is in each of ten thousand."""
    metadata, spec = pod["metadata"], pod.get("spec", {})
    kept = ("name", "labels", "ownerReferences", "creationTimestamp", "deletionTimestamp")
    return {
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"nodeName": spec.get("nodeName", "")},
        "status": pod.get("status", {}),
    }


def made_by(job: ObservedJob, pod: Object) -> bool:
    """Whether a pod is the Job's. Its labels anybody may put on a pod, and then speak for the run."""
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == job.uid and owner.get("controller") for owner in owners)


@dataclass(frozen=True, slots=True)
class ObservedPods:
    """The pods of a Job that does not run or has failed."""

    pods: list[Object]
    warnings: list[Object] = field(default_factory=list)
    """Events of type Warning about what `diagnosis.unexplained` names."""
