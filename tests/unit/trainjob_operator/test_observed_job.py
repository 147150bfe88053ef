"""What the cache keeps of a Job."""

import json
from datetime import UTC, datetime

import pytest

from trainjob_operator.trainjob.observation.observed_job import job_projection, observed_job, time_of


def test_a_job_shrinks_to_a_kilobyte():
    condition = {
        "status": "True",
        "reason": "R" * 30,
        "message": "m" * 30_000,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    }
    item = {
        "metadata": {
            "name": "a" * 52, "namespace": "b" * 63, "uid": "c" * 36, "resourceVersion": "123456789",
            "managedFields": [{"x": "y" * 5000}],
            "ownerReferences": [{"uid": "d" * 36, "controller": True, "name": "a" * 52}],
            "annotations": {"trainjobs.dev/made-from": "e" * 16, "other": "f" * 999},
            "labels": {"g": "h" * 63},
        },
        "spec": {"template": {"x": "y" * 9999}, "suspend": False, "activeDeadlineSeconds": 1},
        "status": {
            "active": 10_000, "ready": 10_000, "startTime": "2026-11-21T10:00:00Z",
            "completedIndexes": "0-9999", "uncountedTerminatedPods": {"succeeded": ["x" * 36] * 500},
            "conditions": [{**condition, "type": "Failed"}, {**condition, "type": "FailureTarget"}],
        },
    }  # fmt: skip
    small = job_projection(item)
    assert len(json.dumps(small)) <= 1536
    job = observed_job(small)
    assert job is not None
    assert (job.owner, job.made_from, job.failed, job.finished) == ("d" * 36, "e" * 16, True, True)


def test_no_job_is_none():
    assert observed_job(None) is None


def test_a_condition_that_is_not_true_says_nothing():
    item = {
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"},
        "status": {"conditions": [{"type": "Suspended", "status": "False"}]},
    }
    job = observed_job(job_projection(item))
    assert job is not None
    assert job.conditions == {}


def test_pods_that_are_told_to_end_hold_their_gpus_until_they_have():
    item = {
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"},
        "status": {"active": 1, "terminating": 2},
    }
    job = observed_job(job_projection(item))
    assert job is not None
    assert job.active == 3


@pytest.mark.parametrize(
    "written", ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-21T10:00:00", "soon", 5, None, ""]
)
def test_a_time_that_no_clock_shows_is_none(written):
    """Whoever looks after a Job in place of Kubernetes' own controller writes its status."""
    item = {
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"},
        "status": {
            "startTime": written,
            "conditions": [{"type": "FailureTarget", "status": "True", "lastTransitionTime": written}],
        },
    }
    job = observed_job(job_projection(item))
    assert job is not None
    assert (job.start_time, job.ending_since) == (None, None)


def test_times_are_as_the_api_server_writes_them():
    assert time_of("2026-11-21T10:00:00Z") == datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_whatever_its_owner_writes_on_a_job_it_is_kept_small():
    queue = {"kueue.x-k8s.io/queue-name": "q" * 63}
    written = {
        "name": "a", "namespace": "b", "uid": "u", "resourceVersion": "1",
        "labels": {f"kueue.x-k8s.io/{n:063}": "v" * 63 for n in range(8000)} | queue,
        "annotations": dict.fromkeys(("trainjobs.dev/made-from", "trainjobs.dev/suspend"), "x" * 100_000),
    }  # fmt: skip
    small = job_projection({"metadata": written})
    assert len(json.dumps(small)) < 32_768
    assert observed_job(small).kueue.items() >= queue.items()
