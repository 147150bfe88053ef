"""What is told of a pod and of an Event, whatever is in them."""

import pytest

from trainjobs.api.pod_contract import INDEX
from trainjobs.cluster.pods import event_of, pod_of

METADATA = {"name": "mnist-0-x7kzp", "uid": "1", "labels": {INDEX: "0"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}


def waiting(reason, message=""):
    return {"restartCount": 1, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, "Running", ""),
        ({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, "Pending", "0/3 nodes are available"),
        (
            {"phase": "Pending", "containerStatuses": [waiting("ErrImagePull", "no such image")]},
            "ErrImagePull",
            "no such image",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [waiting("CrashLoopBackOff", "back-off 10s")],
                "containerStatuses": [waiting("PodInitializing")],
            },
            "CrashLoopBackOff",
            "back-off 10s",
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}]},
            "OOMKilled",
            "",
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]},
            "Succeeded",
            "",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "Evicted", "low on disk"),
        ({}, "", ""),
        (None, "", ""),
        ({"phase": "Running", "containerStatuses": "odd", "conditions": [None, 3]}, "Running", ""),
    ],
)
def test_a_pods_state_is_the_word_that_says_most(status, state, why):
    pod = pod_of({"metadata": METADATA, "status": status})
    assert (pod.name, pod.index, pod.state, pod.why) == ("mnist-0-x7kzp", "0", state, why)


def test_a_pod_that_is_deleted_is_terminating():
    pod = pod_of(
        {
            "metadata": {**METADATA, "deletionTimestamp": "2026-11-21T10:00:00Z"},
            "status": {"phase": "Running"},
        }
    )
    assert pod.state == "Terminating"


def test_restarts_of_all_containers_are_counted():
    status = {"containerStatuses": [{"restartCount": 2}, {"restartCount": 1}, {"restartCount": "odd"}]}
    assert pod_of({"metadata": METADATA, "status": status, "spec": {"nodeName": "node-1"}}).restarts == 3


def test_an_event_says_about_whom_and_why():
    raw = {
        "metadata": {"uid": "7"},
        "regarding": {"kind": "Job", "name": "mnist"},
        "reason": "FailedCreate",
        "note": "quota exceeded",
        "type": "Warning",
    }
    event = event_of(raw)
    assert (event.about, event.reason, event.note, event.is_warning) == (
        "Job/mnist",
        "FailedCreate",
        "quota exceeded",
        True,
    )
    assert event_of({"metadata": {"uid": "8"}}).about == "/"
