"""What runs and pods write is not trusted: whatever the API server lets through, a pass ends and says what is so."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from manifests import manifest
from trainjob_operator.trainjob.events import event_for
from trainjob_operator.trainjob.metrics import Metrics
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.observation.observed import Valid, observe
from trainjob_operator.trainjob.observation.observed_job import job_projection, observed_job
from trainjob_operator.trainjob.observation.observed_pods import ObservedPods
from trainjob_operator.trainjob.plan import Settings, plan
from trainjobs.api.crd.openapi import structural
from trainjobs.api.manifest import parse
from trainjobs.api.reasons import ConditionType, Reason
from trainjobs.api.status import TrainJobStatus

T0 = datetime(2026, 11, 21, 10, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)
REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", re.ASCII)
TIMES = (
    "2026-11-21T10:30:00Z",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00+99:99",
    "2026-11-21T10:30:60.5Z",
)
"""Which of them an API server takes depends on its version; all have been taken."""


def values(schema):
    """What a structural schema admits."""
    match schema.get("type"):
        case "object":
            fields = {name: values(below) for name, below in schema["properties"].items()}
            needed = {name: fields.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(needed, optional=fields)
        case "array":
            return st.lists(values(schema["items"]), max_size=min(3, schema["maxItems"]))
        case "integer" | "number" as kind:
            return st.integers(0, 2**63 - 1) if kind == "integer" else st.floats(0, 1.7e308)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.sampled_from(TIMES)
    return (
        st.text(max_size=20) | st.just("é" * schema["maxLength"]) | st.sampled_from(("1.5", "nan", "Running"))
    )


def trainjob(status=None, **spec):
    metadata = {
        "namespace": "team", "uid": "me", "generation": 3, "resourceVersion": "7",
        "creationTimestamp": "2026-11-21T10:00:00Z",
    }  # fmt: skip
    raw = manifest(metadata=metadata, trainer={"numNodes": 2}, **spec)
    return {**raw, "status": status} if status is not None else raw


def job_of(raw, condition=None, **spec):
    told = [{"type": condition, "status": "True", "reason": "PodFailurePolicy", "message": "exit code 70",
             "lastTransitionTime": "2026-11-21T10:50:00Z"}] if condition else []  # fmt: skip
    metadata = {
        "name": "mnist", "namespace": "team", "uid": "job", "resourceVersion": "9",
        "ownerReferences": [{"uid": "me", "controller": True}],
        "annotations": {"trainjobs.dev/made-from": digest(parse({**raw, "status": None}))},
    }  # fmt: skip
    status = {"active": 2, "ready": 2, "startTime": "2026-11-21T10:00:00Z", "conditions": told}
    return observed_job(
        job_projection({"metadata": metadata, "spec": {"suspend": False, **spec}, "status": status})
    )


def planned(raw, job, pods=()):
    observed = observe(raw, job, NOW)
    if isinstance(observed, Valid):
        observed = replace(observed, pods=ObservedPods(list(pods)))
    return plan(observed, lambda: "secret", Settings())


def is_shown(raw, found):
    """The status can be written, read, told as an Event and counted."""
    for condition in found.status.get("conditions", ()):
        assert REASON.fullmatch(condition["reason"])
        assert len(condition["reason"]) <= 128
    shown = {**raw, "status": {**(raw.get("status") or {}), **json.loads(json.dumps(found.status))}}
    event = event_for(raw, found.status, "operator-1", NOW)
    assert event is None or len(event["note"].encode()) <= 1024
    metrics = Metrics(CollectorRegistry())
    metrics.watch(lambda: [shown])
    metrics.ended(shown)
    assert "inf" not in str(
        metrics.registry.get_sample_value("trainjobs_gpu_seconds_total", {"kind": "used"})
    )


@settings(max_examples=150, deadline=None)
@given(
    status=values(structural(TrainJobStatus)),
    limit=st.none() | st.just(3600),
    condition=st.sampled_from((None, "Complete", "Failed")),
)
@example(status={"training": {"lastUpdateTime": "9999-12-31T23:59:59Z"}}, limit=None, condition=None)
@example(status={"startTime": "2026-01-01T00:00:00+99:99"}, limit=None, condition=None)
@example(status={"activeSeconds": 1e308}, limit=3600, condition=None)
def test_whatever_the_schema_admits_as_a_status_a_pass_ends(status, limit, condition):
    raw = trainjob(status, **({"activeDeadlineSeconds": limit} if limit else {}))
    for job in (job_of(raw, condition), None):
        plan = planned(raw, job)
        is_shown(raw, plan)
        assert {each["reason"] for each in plan.status.get("conditions", ())} <= set(Reason)


def test_who_takes_a_stop_back_after_the_decision_has_stopped_the_run_all_the_same():
    decided = {"decisionTime": "2026-11-21T10:30:00Z", "reason": "good enough"}
    raw = trainjob({"stopping": decided, "training": {"epoch": 7}})
    (told, *_) = planned(raw, job_of(raw, "Complete")).status["conditions"]
    assert (told["reason"], told["message"]) == ("StopRequested", "stopped on request: good enough")


@pytest.mark.parametrize("time", TIMES)
def test_a_suspension_and_a_deadline_are_obeyed_whatever_the_run_says_of_time(time):
    status = {"startTime": time, "training": {"epoch": 1, "step": 1, "lastUpdateTime": time}}
    raw = trainjob(status, suspend=True)
    assert planned(raw, job_of(raw)).patch_job["spec"] == {"suspend": True}
    since = {"type": "Running", "status": "True", "reason": "Running", "message": "",
             "lastTransitionTime": "2026-11-21T10:00:00Z"}  # fmt: skip
    raw = trainjob({**status, "conditions": [since]}, activeDeadlineSeconds=60)
    assert planned(raw, job_of(raw)).patch_job == {"spec": {"activeDeadlineSeconds": 1}}


WORDS = st.text() | st.fixed_dictionaries(
    {"message": st.text() | st.just("é" * 40_000) | st.integers()},
    optional={"reason": st.text() | st.just("R" * 2000) | st.none()},
).map(json.dumps)


@settings(max_examples=100, deadline=None)
@given(words=WORDS)
@example(words='{"reason": "EarlyStopped", "message": "all is well"}')
@example(words="[" * 5000)
def test_whatever_a_pod_leaves_as_its_last_words_a_failure_is_a_failure(words):
    raw = trainjob({})
    container = {"name": "trainer", "state": {"terminated": {"exitCode": 70, "message": words}}}
    pod = {
        "metadata": {"name": "mnist-0-abcde", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "status": {"phase": "Failed", "containerStatuses": [container]},
    }
    found = planned(raw, job_of(raw, "Failed"), [pod])
    told = {each["type"]: each for each in found.status["conditions"]}
    assert told["Failed"]["status"] == "True"
    assert ConditionType.EARLY_STOPPED not in told
    assert told["Failed"]["reason"] not in ("EarlyStopped", "Finished", "StopRequested")
    is_shown(raw, found)


def test_a_spec_with_any_number_of_faults_is_told_in_a_condition_that_fits():
    criteria = [{"all": [{"all": [{"plateau": {"patience": 0}}] * 8}] * 8}] * 16
    found = planned(trainjob(stopping={"criteria": criteria}), None)
    (told,) = found.status["conditions"][:1]
    assert told["reason"] == "InvalidSpec"
    assert len(told["message"]) <= 32768
