"""How what belongs to a TrainJob is named and labelled. Names are deterministic: making it twice makes it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trainjobs.api import API_VERSION, TrainJob
from trainjobs.api.pod_contract import LABELS
from trainjobs.kube.resources import Key, Object

MADE_FROM: Final = "trainjobs.dev/made-from"
"""Annotation of the Job: digest of those parts of the spec that it cannot follow when they change."""
SUSPEND: Final = "trainjobs.dev/suspend"
"""Annotation of the Job: whether the operator last asked for its suspension. Who else did holds the Job."""
STOP_DEADLINE: Final = "trainjobs.dev/stop-deadline"
"""Annotation of the Job: the deadline that the operator has given it for a stop. Another one is somebody else's."""
KUEUE: Final = "kueue.x-k8s.io/"
QUEUE: Final = f"{KUEUE}queue-name"
"""Label of a TrainJob that Kueue queues."""
_MOST_LABELS: Final = 64
RUNNER: Final = "trainjobs-runner"
"""ServiceAccount of training pods in each namespace, and the ClusterRole that it is bound to."""


def labels(job: TrainJob) -> dict[str, str]:
    """Labels of everything that belongs to one TrainJob, with those of Kueue."""
    return {**kueue(job), **selector(job)}


def asked(job: TrainJob) -> dict[str, str]:
    """Labels that the template asks for, without those by which runs are told apart and Jobs are held."""
    return {
        name: value
        for name, value in job.spec.pod_template.metadata.labels.items()
        if name not in LABELS.values() and not name.startswith(KUEUE)
    }


def kueue(job: TrainJob) -> dict[str, str]:
    """Labels that Kueue reads."""
    return {name: value for name, value in few(job.metadata.labels).items() if name.startswith(KUEUE)}


def few(labels: Mapping[str, str]) -> dict[str, str]:
    """Of a TrainJob's labels those that are read: no schema bounds how many it has. The queue comes first, then what
    else Kueue reads."""
    by_use = sorted(labels, key=lambda name: (name != QUEUE, not name.startswith(KUEUE), name))
    return {name: labels[name] for name in by_use[:_MOST_LABELS]}


def suspension(suspend: bool) -> Object:
    """A Job that is to be suspended or not, with the mark that we said so."""
    return {
        "metadata": {"annotations": {SUSPEND: str(suspend).lower()}},
        "spec": {"suspend": suspend},
    }


def stop_deadline(seconds: int | None) -> Object:
    """A Job that has so long, counted from its start, or whose deadline of ours is taken back."""
    return {
        "metadata": {"annotations": {STOP_DEADLINE: None if seconds is None else str(seconds)}},
        "spec": {"activeDeadlineSeconds": seconds},
    }


def selector(job: TrainJob) -> dict[str, str]:
    """Labels that only the pods of this TrainJob have."""
    return {LABELS[job.kind]: job.metadata.name}


def metadata(job: TrainJob, name: str) -> Object:
    """Metadata of an object that goes when its TrainJob goes.

    It does not block the TrainJob's deletion: for that the operator would need a right over its finalizers.
    """
    owner = {
        "apiVersion": API_VERSION,
        "kind": job.kind,
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
    }
    return {
        "name": name,
        "namespace": job.metadata.namespace,
        "labels": labels(job),
        "ownerReferences": [owner],
    }


def key(job: TrainJob) -> Key:
    """The key of a TrainJob and of its Job."""
    return Key(job.metadata.namespace or "", job.metadata.name)


def token_secret(job: TrainJob) -> str:
    """Name of the Secret with the Ray token. With the UID in it, whoever holds the name is ours: so the operator
    makes it without the right to read any Secret."""
    return f"{job.metadata.name}-ray-token-{(job.metadata.uid or '')[:8]}"


def head(job: TrainJob) -> str:
    """Host name of pod 0, from the Service of the same name as the Job."""
    name = job.metadata.name
    return f"{name}-0.{name}.{job.metadata.namespace}.svc"
