"""Whom to ask about pods that do not run, and what is said."""

import pytest

from trainjob_operator.trainjob.observation.diagnosis import unexplained, why_it_failed, why_not_running
from trainjob_operator.trainjob.observation.observed_pods import ObservedPods


def pod(index, phase="Pending", waiting="ContainerCreating"):
    container = {"name": "trainer", "state": {"waiting": {"reason": waiting, "message": "no such image"}}}
    return {
        "metadata": {"name": f"mnist-{index}"},
        "status": {"phase": phase, "containerStatuses": [container] if phase == "Pending" else []},
    }


def warning(number, **times):
    return {
        "regarding": {"kind": "Pod", "name": "mnist-0"},
        "reason": f"Reason{number}",
        "note": f"note {number}",
        **times,
    }


@pytest.mark.parametrize(
    ("pods", "about"),
    [
        ([], ("Job", "mnist")),
        ([pod(0, "Running")], ("Job", "mnist")),
        ([pod(0, "Failed"), pod(1)], ("Job", "mnist")),
        ([pod(0, "Running"), pod(1)], ("Pod", "mnist-1")),
        ([pod(0, "Running"), pod(1, "Running")], None),
        ([pod(0, waiting="ErrImagePull")], None),
    ],
)
def test_only_what_the_pods_do_not_say_themselves_is_asked(pods, about):
    assert unexplained(pods, 2, "mnist") == about


def test_the_newest_warning_counts_however_its_time_is_written():
    warnings = [
        warning(1, eventTime="2026-11-21T10:00:05.000000Z"),
        warning(2, deprecatedLastTimestamp="2026-11-21T10:00:07Z", eventTime=None),
        warning(3, eventTime="2026-11-21T10:00:01.000000Z",
                series={"lastObservedTime": "2026-11-21T10:00:06.000000Z", "count": 9}),
    ]  # fmt: skip
    assert why_not_running(ObservedPods([pod(0)], warnings)) == ("Reason2", "pod mnist-0: note 2")


def test_an_event_that_lacks_what_others_have_is_told_all_the_same():
    bare = {"type": "Warning", "regarding": {"kind": "Pod", "name": "mnist-0"}}
    assert why_not_running(ObservedPods([pod(0)], [bare])) == ("", "pod mnist-0: ")


def test_the_pods_own_words_go_before_any_event():
    assert why_not_running(ObservedPods([pod(0, waiting="ErrImagePull")], [warning(1)])) == (
        "ErrImagePull",
        "pod mnist-0: ErrImagePull: no such image",
    )


def test_a_container_that_keeps_a_finished_pod_is_named():
    done = {"name": "trainer", "state": {"terminated": {"exitCode": 0}}}
    proxy = {"name": "istio-proxy", "state": {"running": {}}}
    pod_0 = {
        "metadata": {"name": "mnist-0"},
        "status": {"phase": "Running", "containerStatuses": [done, proxy]},
    }
    reason, message = why_not_running(ObservedPods([pod_0]))
    assert reason == "SidecarRuns"
    assert message.startswith("pod mnist-0: trainer is done, and istio-proxy keeps the pod")
    pod_0["status"]["containerStatuses"] = [{"name": "trainer", "state": {"running": {}}}, proxy]
    assert why_not_running(ObservedPods([pod_0])) is None


def test_a_pod_that_had_a_successor_is_not_why_the_job_failed():
    def dead(name, made, **status):
        labels = {"batch.kubernetes.io/job-completion-index": "0"}
        return {"metadata": {"name": name, "labels": labels, "creationTimestamp": made}, "status": status}

    evicted = dead("mnist-0-a", "2026-11-21T10:00:00Z", phase="Failed", reason="Evicted", message="no disk")
    failed = dead("mnist-0-b", "2026-11-21T11:00:00Z", phase="Failed")
    assert why_it_failed([failed, evicted]) == ""
    assert why_it_failed([evicted]) == "pod mnist-0-a: Evicted: no disk"
