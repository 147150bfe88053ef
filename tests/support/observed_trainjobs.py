"""TrainJobs and their Jobs as the API server gives them, at a time, and what is to be done for them then.

Times are seconds after `T0`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from manifests import manifest
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.observation.observed import Valid, observe
from trainjob_operator.trainjob.observation.observed_job import ObservedJob, job_projection, observed_job
from trainjob_operator.trainjob.observation.observed_pods import ObservedPods
from trainjob_operator.trainjob.plan import Settings, plan
from trainjobs.api.manifest import parse

T0 = datetime(2026, 11, 21, 10, tzinfo=UTC)


def at(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def trainjob(status=None, labels=None, trainer=None, **spec):
    """A TrainJob as the API server gives it."""
    metadata = {
        "namespace": "team", "uid": "me", "generation": 3, "resourceVersion": "7",
        "creationTimestamp": at(0), "labels": labels or {},
    }  # fmt: skip
    raw = manifest(metadata=metadata, trainer={"numNodes": 2, **(trainer or {})}, **spec)
    return {**raw, **({"status": status} if status else {})}


def job_of(raw, *conditions, started=0, suspend=False, owner="me", **fields) -> ObservedJob:
    """Its Job: started at a time (None: not), with conditions as (type, reason, message, since)."""
    status = {"active": 0 if suspend else 2, "ready": 0 if suspend else 2}
    if started is not None:
        status["startTime"] = at(started)
    status["conditions"] = [
        {
            "type": name,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": at(since),
        }
        for name, reason, message, since in conditions
    ]
    item = {
        "metadata": {
            "name": "mnist",
            "namespace": "team",
            "uid": "job",
            "resourceVersion": "9",
            "ownerReferences": [{"uid": owner, "controller": True}],
            "labels": fields.pop("labels", raw["metadata"]["labels"]),
            "annotations": {
                "trainjobs.dev/made-from": fields.pop("made_from", digest(parse(raw))),
                **fields.pop("annotations", {}),
            },
            **fields.pop("metadata", {}),
        },
        "spec": {"suspend": suspend, "completions": 2, "parallelism": 2, **fields.pop("spec", {})},
        "status": {**status, **fields},
    }
    found = observed_job(job_projection(item))
    assert found is not None
    return found


def heard(seconds, **status):
    """A status in which the run has written at a time."""
    return {"startTime": at(10), "training": {"epoch": 3, "step": 9, "lastUpdateTime": at(seconds)}, **status}


def running(since, **status):
    """A status of a TrainJob that is said to be running since a time."""
    condition = {
        "type": "Running", "status": "True", "reason": "Running", "message": "training",
        "lastTransitionTime": at(since), "observedGeneration": 3,
    }  # fmt: skip
    return heard(since, conditions=[condition], observedGeneration=3, **status)


def planned(raw, job, now, pods=None, warnings=()):
    """The plan for a TrainJob at a time; `pods`: those that were looked at."""
    observed = observe(raw, job, T0 + timedelta(seconds=now))
    if pods is not None and isinstance(observed, Valid):
        observed = replace(observed, pods=ObservedPods(pods, list(warnings)))
    return plan(observed, lambda: "secret", Settings("default:1"))


def warning(kind, name, number, note):
    """An Event; the higher the number, the newer."""
    return {
        "regarding": {"kind": kind, "name": name},
        "reason": f"Refused{number}",
        "note": note,
        "deprecatedLastTimestamp": at(number),
    }


def conditions_of(found) -> list[tuple[str, str, str]]:
    """Conditions as (type, status, reason)."""
    return [(each["type"], each["status"], each["reason"]) for each in found.status["conditions"]]


def after_write(raw, found):
    """The TrainJob after the status was written."""
    return {**raw, "status": {**(raw.get("status") or {}), **found.status}}
