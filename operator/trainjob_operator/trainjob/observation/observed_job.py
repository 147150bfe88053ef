"""What the operator reads of a Job: a small copy for the cache, and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from trainjob_operator.trainjob.objects import names
from trainjobs.kube.resources import Object

_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp")
_SPEC: Final = ("suspend", "activeDeadlineSeconds", "managedBy", "completions", "parallelism")
_ANNOTATIONS: Final = (names.MADE_FROM, names.SUSPEND, names.STOP_DEADLINE)
_STATUS: Final = ("active", "ready", "terminating", "failed", "startTime", "completionTime")
_CONDITIONS: Final = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended")
AT_ONCE_S: Final = 1
"""A Job's deadline by which it ends now: the shortest that there is."""
_KUBERNETES: Final = "kubernetes.io/job-controller"
_LONGEST_TEXT: Final = 256
"""Characters that are kept of what others than the operator may write at any length."""
_KUEUE_LABELS: Final = 128
"""Labels for Kueue that are kept: a TrainJob has 64 at most, and Kueue adds a few."""
_YEARS: Final = range(1970, 9999)
"""Of times with which one can reckon."""


def job_projection(item: Object) -> Object:
    """A Job without its template, about a kilobyte: a cache holds every Job of the cluster."""
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    owners = [
        {"uid": owner["uid"]} for owner in metadata.get("ownerReferences", ()) if owner.get("controller")
    ]
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    queue = _chosen(labels, (names.QUEUE,))
    kueue = ((name, value) for name, value in labels.items() if name.startswith(names.KUEUE))
    return {
        "metadata": {
            **_chosen(metadata, _METADATA),
            "ownerReferences": owners,
            "labels": queue | dict(islice(kueue, _KUEUE_LABELS)),
            "annotations": {
                name: value[:_LONGEST_TEXT] for name, value in _chosen(annotations, _ANNOTATIONS).items()
            },
        },
        "spec": _chosen(spec, _SPEC),
        "status": {
            **_chosen(status, _STATUS),
            "conditions": [
                {**condition, "message": condition.get("message", "")[:_LONGEST_TEXT]}
                for condition in status.get("conditions", ())
                if condition["type"] in _CONDITIONS and condition["status"] == "True"
            ],
        },
    }


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """One Job at one moment."""

    uid: str
    owner: str
    """UID of the TrainJob that it belongs to; empty: to none."""
    made_from: str
    """Digest of the spec that it was made from."""
    suspend: bool
    """Whether it is to have no pods."""
    was_let_run: bool
    """Whether the operator last asked for it to have pods."""
    deleting: bool
    num_pods: int
    """How many pods it may have at a time."""
    active: int
    """Pods that are there and not finished; those that are told to end are there until they have."""
    ready: int
    """Those of them that run and are not told to end."""
    failed_pods: int
    """Pods that failed and count against its `backoffLimit`."""
    start_time: datetime | None
    """When it started last; a suspension unsets it."""
    deadline_s: int | None
    """Seconds after its start at which Kubernetes ends it (`activeDeadlineSeconds`). None: it has no such time."""
    stop_deadline: str
    """The deadline that the operator gave it last for a stop; somebody may have changed it since. Empty: none."""
    kueue: Mapping[str, str]
    """Its labels that Kueue reads; some were put there by Kueue itself."""
    managed_by: str
    """The controller that looks after it, if it is not Kubernetes' own."""
    conditions: Mapping[str, Mapping[str, str]]
    """Those that are true, by type."""

    @property
    def held(self) -> bool:
        """Whether somebody else decides when it runs. What the TrainJob says of that may have changed since."""
        is_managed = names.QUEUE in self.kueue or self.managed_by not in ("", _KUBERNETES)
        return is_managed or (self.suspend and self.was_let_run)

    @property
    def has_stop_deadline(self) -> bool:
        """Whether its deadline is the one that the operator gave it for a stop."""
        return self.deadline_s is not None and self.stop_deadline == str(self.deadline_s)

    @property
    def finished(self) -> bool:
        """Nothing of it runs any more."""
        return "Complete" in self.conditions or "Failed" in self.conditions

    def lived_s(self, now: datetime) -> float:
        """Seconds since it started last; 0 if it has not."""
        return (now - self.start_time).total_seconds() if self.start_time else 0.0

    def told_to_end(self, now: datetime) -> bool:
        """Whether Kubernetes ends it for its deadline."""
        return self.deadline_s is not None and max(self.lived_s(now), AT_ONCE_S) >= self.deadline_s

    @property
    def failed(self) -> bool:
        """It has failed, or is about to be failed once its pods have gone."""
        return "Failed" in self.conditions or "FailureTarget" in self.conditions

    @property
    def suspended_since(self) -> datetime | None:
        """Since when the Job controller has ended its pods for a suspension."""
        suspended = self.conditions.get("Suspended")
        return time_of(suspended.get("lastTransitionTime")) if suspended else None

    @property
    def ending_since(self) -> datetime | None:
        """When its end was decided; its pods may still be on their way out."""
        decided = self.conditions.get("FailureTarget") or self.conditions.get("SuccessCriteriaMet")
        return time_of(decided.get("lastTransitionTime")) if decided else None


def observed_job(item: Object | None) -> ObservedJob | None:
    """What a projected Job says; None without one."""
    if item is None:
        return None
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    annotations = metadata.get("annotations", {})
    return ObservedJob(
        uid=metadata["uid"],
        owner=next((owner["uid"] for owner in metadata.get("ownerReferences", ())), ""),
        made_from=annotations.get(names.MADE_FROM, ""),
        suspend=spec.get("suspend", False),
        was_let_run=annotations.get(names.SUSPEND) == "false",
        deleting="deletionTimestamp" in metadata,
        num_pods=min(spec.get("completions", 1), spec.get("parallelism", 1)),
        active=status.get("active", 0) + status.get("terminating", 0),
        ready=status.get("ready", 0),
        failed_pods=status.get("failed", 0),
        start_time=time_of(status.get("startTime")),
        deadline_s=spec.get("activeDeadlineSeconds"),
        stop_deadline=annotations.get(names.STOP_DEADLINE, ""),
        kueue=metadata.get("labels", {}),
        managed_by=spec.get("managedBy", ""),
        conditions={condition["type"]: condition for condition in status.get("conditions", ())},
    )


def time_of(text: Any) -> datetime | None:
    """A time as the API server writes it; None for what no clock shows, which whoever looks after the Job may have
    written."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo and found.year in _YEARS else None


def _chosen(part: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: part[field] for field in fields if field in part}
