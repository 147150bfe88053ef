"""What is to be done for a TrainJob that has a Job: suspend, resume, stop, explain, end.

Times are seconds after `T0`.
"""

import pytest
from observed_trainjobs import (
    after_write,
    at,
    conditions_of,
    heard,
    job_of,
    planned,
    running,
    trainjob,
    warning,
)

from trainjob_operator.trainjob.actions import Plan
from trainjob_operator.trainjob.active_job import ENDING_DELAY_S, SLOW_START_S, TERMINATION_TIMEOUT_S
from trainjob_operator.trainjob.deadlines import MARGIN_S
from trainjob_operator.trainjob.objects.job import digest
from trainjobs.api.manifest import parse

MARK = "trainjobs.dev/stop-deadline"


def stopping_until(seconds):
    """Of a Job whose run was asked to stop: when Kubernetes ends it, and the operator's mark of that."""
    return {"spec": {"activeDeadlineSeconds": seconds}, "annotations": {MARK: str(seconds)}}


def told_to_stop_until(seconds):
    return {
        "metadata": {"annotations": {MARK: str(seconds)}},
        "spec": {"activeDeadlineSeconds": seconds},
    }


ASKED = stopping_until(3000)
LONGEST_STOP_S = 70 + 2 * 30 + MARGIN_S
"""Of a run with a `startupDeadlineSeconds` of 70 and a `progressDeadlineSeconds` of 30."""
SUCCESS = ("SuccessCriteriaMet", "SuccessPolicy", "", 100)


def test_an_end_waits_for_the_pods_to_leave_but_not_for_ever():
    raw = trainjob(heard(90))
    job = job_of(raw, SUCCESS)
    assert planned(raw, job, 101) == Plan(requeue_after_s=ENDING_DELAY_S - 1)
    leaving = planned(raw, job, 100 + ENDING_DELAY_S)
    assert conditions_of(leaving) == [("Running", "False", "Ending")]
    assert leaving.requeue_after_s == TERMINATION_TIMEOUT_S - ENDING_DELAY_S
    assert conditions_of(planned(raw, job, 100 + TERMINATION_TIMEOUT_S)) == [("Complete", "True", "Finished")]
    failing = job_of(raw, ("FailureTarget", "BackoffLimitExceeded", "", 100))
    assert conditions_of(planned(raw, failing, 100 + ENDING_DELAY_S)) == [("Running", "False", "Ending")]
    assert conditions_of(planned(raw, failing, 100 + TERMINATION_TIMEOUT_S)) == [
        ("Failed", "True", "BackoffLimitExceeded")
    ]


@pytest.mark.parametrize(("wanted", "found", "patch"), [(True, False, True), (False, True, False)])
def test_suspend_and_resume_are_passed_on(wanted, found, patch):
    raw = trainjob(heard(50), suspend=wanted)
    job = job_of(raw, suspend=found, started=None if found else 0)
    assert planned(raw, job, 60).patch_job == (SUSPENDED if patch else RESUMED)
    assert planned(raw, job_of(raw, suspend=wanted, started=None if wanted else 0), 61).patch_job is None


@pytest.mark.parametrize("suspend", [True, False])
def test_a_stop_before_the_training_completes_at_once_and_removes_the_job(suspend):
    raw = trainjob(stop={"reason": "never mind"}, suspend=suspend)
    job = job_of(raw, suspend=suspend, started=None if suspend else 0)
    found = planned(raw, job, 5)
    assert conditions_of(found) == [("Complete", "True", "StopRequested")]
    assert found.status["conditions"][0]["message"] == "stopped on request: never mind"
    assert found.delete_job
    assert planned(after_write(raw, found), job, 6).delete_job
    assert conditions_of(planned(raw, None, 5)) == [("Complete", "True", "StopRequested")]


def test_a_stop_during_the_training_is_the_runs_to_follow():
    raw = trainjob(heard(50), stop={})
    found = planned(raw, job_of(raw, **ASKED), 60)
    assert (found.delete_job, found.patch_job) == (False, None)
    assert conditions_of(found) == [("Running", "True", "Running")]


def test_a_run_that_goes_on_talking_and_does_not_stop_is_ended_and_the_state_says_so():
    """Its training function asks for nothing that would halt it, say. Kubernetes ends it, without the operator too."""
    raw = trainjob(running(50), stop={}, progressDeadlineSeconds=30, startupDeadlineSeconds=70)
    late_s = 60 + LONGEST_STOP_S
    assert planned(raw, job_of(raw), 60).patch_job == told_to_stop_until(late_s)
    asked = stopping_until(late_s)
    raw["status"] |= heard(late_s - 1)
    before = planned(raw, job_of(raw, **asked), late_s - 1)
    assert (before.patch_job, before.status, before.requeue_after_s) == (None, {}, 1)
    found = planned(raw, job_of(raw, **asked), late_s)
    assert found.patch_job is None
    ended = job_of(raw, ("Failed", "DeadlineExceeded", "", late_s), active=0, ready=0, **asked)
    for seen in (raw, after_write(raw, found)):
        over = planned(seen, ended, late_s + 9, [])
        assert conditions_of(over)[0] == ("Failed", "True", "DeadlineExceeded")
        assert over.status["conditions"][0]["message"] == (
            f"it did not stop within {LONGEST_STOP_S} s of being asked to, and was ended"
        )


LATER = {
    "another's": {"spec": {"activeDeadlineSeconds": 10**9}},
    "of a longer stop": stopping_until(60 + 2 * 1800 + MARGIN_S),
}


@pytest.mark.parametrize("before", LATER.values(), ids=LATER)
def test_a_stop_is_not_put_off_by_a_later_deadline_that_the_job_has(before):
    """Somebody else has set it, or `progressDeadlineSeconds` was longer; an earlier one stays."""
    raw = trainjob(running(50), stop={}, progressDeadlineSeconds=30, startupDeadlineSeconds=70)
    soon_s = 60 + LONGEST_STOP_S
    assert planned(raw, job_of(raw, **before), 60).patch_job == told_to_stop_until(soon_s)
    assert planned(raw, job_of(raw, **stopping_until(soon_s)), 90).patch_job is None


@pytest.mark.parametrize("stop", [None, {}], ids=["not asked to stop", "asked to stop"])
def test_a_deadline_that_somebody_else_gives_the_job_is_theirs(stop):
    """An admission policy, say, that gives every Job one: whoever took it away would do so for ever."""
    raw = trainjob(running(50), stop=stop)
    theirs = {"spec": {"activeDeadlineSeconds": 10**6}, "annotations": {MARK: "3000"}}
    found = planned(raw, job_of(raw, **theirs), 60)
    assert found.patch_job is None
    assert found.requeue_after_s > 0


@pytest.mark.parametrize("suspend", [False, True])
def test_a_deadline_that_has_passed_is_not_looked_at_all_the_time(suspend):
    """The Job controller may be slow, or be another one; and a suspended Job may keep the time of its start."""
    raw = trainjob(running(50), activeDeadlineSeconds=100, suspend=suspend)
    job = job_of(raw, suspend=suspend, spec={"activeDeadlineSeconds": 1})
    raw = after_write(raw, planned(raw, job, 150))
    found = planned(raw, job, 151)
    assert (found.patch_job, found.status) == (None, {})
    assert found.requeue_after_s != 0


def test_who_takes_a_stop_back_before_it_is_followed_takes_its_deadline_back():
    raw = trainjob(running(50))
    assert planned(raw, job_of(raw, **ASKED), 60).patch_job == {
        "metadata": {"annotations": {MARK: None}},
        "spec": {"activeDeadlineSeconds": None},
    }
    assert planned(raw, job_of(raw, **stopping_until(1)), 60).patch_job is None


def test_a_stop_that_is_not_followed_holds_up_no_other_deadline():
    raw = trainjob(running(50), stop={}, activeDeadlineSeconds=100)
    found = planned(raw, job_of(raw, **ASKED), 150)
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert conditions_of(found) == [("Running", "False", "DeadlineExceeded")]


@pytest.mark.parametrize(
    ("pods", "reason", "message"),
    [
        ([], "Starting", "2 pods are starting"),
        (
            [{"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                              "message": "0/4 nodes are available"}]}] * 2,
            "Unschedulable",
            "pod mnist-0 (and 1 more): 0/4 nodes are available",
        ),
        (
            [{"containerStatuses": [{"name": "trainer", "state": {"waiting": {
                "reason": "ImagePullBackOff", "message": "no such image"}}}]}],
            "ImagePullBackOff",
            "pod mnist-0: ImagePullBackOff: no such image",
        ),
        (
            [{"containerStatuses": [{"name": "trainer", "state": {"waiting": {"reason": "ContainerCreating"}}}]}],
            "Starting",
            "2 pods are starting",
        ),
    ],
)  # fmt: skip
def test_a_slow_start_is_explained_by_the_pods(pods, reason, message):
    raw = trainjob()
    job = job_of(raw)
    assert not planned(raw, job, SLOW_START_S - 1).wants_pods
    slow = planned(raw, job, SLOW_START_S)
    assert (slow.wants_pods, slow.expected_pods) == (True, 2)
    pods = [{"metadata": {"name": f"mnist-{i}"}, "status": status} for i, status in enumerate(pods)]
    found = planned(raw, job, SLOW_START_S, pods)
    assert not found.wants_pods
    assert found.requeue_after_s == SLOW_START_S
    assert conditions_of(found) == [("Running", "False", reason)]
    assert found.status["conditions"][0]["message"] == message


def test_a_slow_start_is_explained_by_events_where_the_pods_are_silent():
    raw = trainjob()
    found = planned(raw, job_of(raw), SLOW_START_S, [], [warning("Job", "mnist", 1, "exceeded quota: team")])
    assert conditions_of(found) == [("Running", "False", "Refused1")]
    assert found.status["conditions"][0]["message"] == "job mnist: exceeded quota: team"


@pytest.mark.parametrize(("with_pods", "in_place"), [(0, 3), (3, 0), (2, 1)])
def test_as_many_failed_attempts_as_the_limit_end_nothing(with_pods, in_place):
    raw = trainjob(running(50, failedAttempts=in_place), backoffLimit=3)
    found = planned(raw, job_of(raw, failed=with_pods), 60)
    assert (found.patch_job, found.status) == (None, {})


def test_attempts_that_failed_in_place_and_with_their_pods_count_together():
    raw = trainjob(running(50, failedAttempts=2), backoffLimit=3)
    found = planned(raw, job_of(raw, failed=2), 60)
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert conditions_of(found) == [("Running", "False", "BackoffLimitExceeded")]
    ended = job_of(raw, ("Failed", "DeadlineExceeded", "", 62), failed=2, active=0)
    over = planned(raw, ended, 62, [])
    assert ("Failed", "True", "BackoffLimitExceeded") in conditions_of(over)
    assert (
        over.status["conditions"][0]["message"]
        == "4 attempts failed, 2 of them with their pods (backoffLimit 3)"
    )


def test_a_change_before_the_start_makes_the_job_anew_and_after_the_start_it_does_not():
    raw = trainjob()
    assert planned(raw, job_of(raw, made_from="other"), 5).delete_job
    raw = trainjob(heard(50))
    assert not planned(raw, job_of(raw, made_from="other"), 60).delete_job


def test_a_run_that_goes_on_talking_is_running_whatever_its_pods_probes_say():
    raw = trainjob(running(50, activeSeconds=10), startupDeadlineSeconds=60)
    for now in range(60, 600, 20):
        raw["status"]["training"]["lastUpdateTime"] = at(now)
        found = planned(raw, job_of(raw, ready=0), now)
        assert (found.status, found.patch_job) == ({}, None)


def pod_that_is_not_ready(number, state="running", **condition):
    return {
        "metadata": {"name": f"mnist-{number}"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False", **condition}],
            "containerStatuses": [{"name": "trainer", "state": {state: {}}}],
        },
    }


PROBED = pod_that_is_not_ready(0, reason="ContainersNotReady")


@pytest.mark.parametrize("spec", [{}, {"stop": {}}])
def test_a_silent_run_is_running_while_its_pods_run_whatever_their_probes_say(spec):
    raw = trainjob(running(50, activeSeconds=10), startupDeadlineSeconds=60, **spec)
    job = job_of(raw, ready=0, **(ASKED if spec else {}))
    for now in (100, 300):
        assert planned(raw, job, now).wants_pods
        found = planned(raw, job, now, [PROBED, PROBED])
        assert (found.status, found.patch_job, found.delete_job, found.wants_pods) == ({}, None, False, False)
    quiet = planned(raw, job, 50 + 1800 + 60 + 120, [PROBED, PROBED])
    assert conditions_of(quiet) == [("Running", "False", "NoProgress")]


@pytest.mark.parametrize(
    "other",
    [
        pod_that_is_not_ready(1),  # the control plane says so: nobody hears of its node
        pod_that_is_not_ready(1, "terminated", reason="ContainersNotReady"),
        {**PROBED, "metadata": {"name": "mnist-1", "deletionTimestamp": at(90)}},
    ],
)
def test_a_silent_run_of_which_a_pod_has_gone_is_not_running(other):
    raw = trainjob(running(50))
    found = planned(raw, job_of(raw, ready=0), 100, [PROBED, other])
    assert conditions_of(found)[0][:2] == ("Running", "False")


def test_a_stop_of_a_run_of_which_no_pod_is_there_completes_it():
    raw = trainjob(running(50), stop={"reason": "enough"})
    assert not planned(raw, job_of(raw, ready=1), 100, []).delete_job  # somebody is there who follows
    found = planned(raw, job_of(raw, ready=0), 100)
    assert found.delete_job
    assert conditions_of(found)[0] == ("Complete", "True", "StopRequested")


def test_a_pod_that_is_replaced_while_the_run_goes_on_talking_is_no_news():
    raw = trainjob(running(50))
    assert planned(raw, job_of(raw, active=1, terminating=1, ready=1), 70).status == {}


LOST = {
    "metadata": {"name": "mnist-0", "deletionTimestamp": at(90)},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running"},
}


def test_a_pod_that_does_not_leave_its_node_is_named_also_when_the_run_is_suspended():
    raw = trainjob(running(50))
    job = job_of(raw, active=0, terminating=1, ready=0)
    assert planned(raw, job, 100).wants_pods
    assert conditions_of(planned(raw, job, 100, [LOST])) == [("Running", "False", "Terminating")]
    raw = trainjob(running(50), suspend=True)
    job = job_of(raw, suspend=True, started=None, terminating=1)
    raw = after_write(raw, planned(raw, job, 100))
    assert raw["status"]["conditions"][0]["reason"] == "Suspending"
    before = planned(raw, job, 100 + TERMINATION_TIMEOUT_S - 1)
    assert (before.wants_pods, before.requeue_after_s, before.status) == (False, 1, {})
    assert planned(raw, job, 100 + TERMINATION_TIMEOUT_S).wants_pods
    found = planned(raw, job, 100 + TERMINATION_TIMEOUT_S, [LOST])
    assert conditions_of(found)[0] == ("Suspended", "True", "Suspended")
    assert "was to be gone from node node-1" in found.status["conditions"][0]["message"]
    assert found.requeue_after_s is None
    told = (
        "Suspended",
        "JobSuspended",
        "",
        150,
    )  # the Job controller's own word counts, where it has said it
    job = job_of(raw, told, suspend=True, started=None, terminating=1)
    assert planned(raw, job, 149 + TERMINATION_TIMEOUT_S).requeue_after_s == 1


QUEUE = "kueue.x-k8s.io/queue-name"
SUSPENDED = {"metadata": {"annotations": {"trainjobs.dev/suspend": "true"}}, "spec": {"suspend": True}}
RESUMED = {"metadata": {"annotations": {"trainjobs.dev/suspend": "false"}}, "spec": {"suspend": False}}


def test_kueue_hears_of_another_queue_while_the_job_waits():
    raw = trainjob(labels={QUEUE: "big", "kueue.x-k8s.io/priority-class": "high"})
    waits = job_of(
        raw, suspend=True, started=None, labels={QUEUE: "small", "kueue.x-k8s.io/priority-class": "high"}
    )
    assert planned(raw, waits, 5).patch_job == {"metadata": {"labels": {QUEUE: "big"}}}
    runs = job_of(raw, labels={QUEUE: "small"})
    assert planned(raw, runs, 5).patch_job is None


@pytest.mark.parametrize(
    ("trainjobs", "jobs", "spec", "patch"),
    [
        ({QUEUE: "q"}, {}, {}, SUSPENDED),  # the label came when the Job ran already
        ({}, {QUEUE: "q"}, {}, None),  # a queue by default
        ({}, {}, {"managedBy": "kueue.x-k8s.io/multikueue"}, None),
        ({}, {}, {"managedBy": "kubernetes.io/job-controller"}, SUSPENDED),
    ],
)
def test_who_decides_over_a_job_is_read_from_the_job(trainjobs, jobs, spec, patch):
    raw = trainjob(heard(50), labels=trainjobs, suspend=True)
    assert planned(raw, job_of(raw, labels=jobs, spec=spec), 60).patch_job == patch


def test_a_job_from_which_kueue_has_taken_pods_says_so():
    raw = trainjob(labels={QUEUE: "gpus"})  # partial admission
    found = planned(raw, job_of(raw, spec={"parallelism": 1}), 40, [])
    assert found.patch_job is None
    assert "may have 1 of 2 pods at once" in found.status["conditions"][0]["message"]


@pytest.mark.parametrize(
    ("said", "patch", "state"),
    [
        ("true", RESUMED, "Suspended"),  # we did, and it is wanted no more
        ("false", None, "Queued"),  # somebody else did: a queue that puts no label on it, say
        (None, RESUMED, "Suspended"),  # a Job of an earlier version
    ],
)
def test_a_job_that_somebody_else_has_suspended_is_left_to_them(said, patch, state):
    raw = trainjob()
    marks = {
        "trainjobs.dev/made-from": digest(parse(raw)),
        **({"trainjobs.dev/suspend": said} if said else {}),
    }
    found = planned(raw, job_of(raw, suspend=True, started=None, metadata={"annotations": marks}), 60)
    assert found.patch_job == patch
    assert conditions_of(found)[0] == ("Suspended", "True", state)
    assert found.requeue_after_s is None


def test_whoever_asks_for_a_suspension_gets_it_also_where_somebody_else_had_suspended_the_job_before():
    raw = trainjob(suspend=True)
    marks = {"trainjobs.dev/made-from": digest(parse(raw)), "trainjobs.dev/suspend": "false"}
    assert planned(raw, job_of(raw, metadata={"annotations": marks}), 60).patch_job == SUSPENDED


@pytest.mark.parametrize(
    "edit", [{"parallelism": 1}, {"parallelism": 0}, {"parallelism": 1, "completions": 1}]
)
def test_who_changes_how_many_pods_a_job_has_is_undone_but_for_kueue(edit):
    raw = trainjob(running(50))
    found = planned(raw, job_of(raw, spec=edit), 60)
    assert found.patch_job == {"spec": {"completions": 2, "parallelism": 2}}
    assert planned(raw, job_of(raw, spec=edit, labels={QUEUE: "q"}), 60).patch_job is None
    assert (
        planned(raw, job_of(raw, spec={"parallelism": 5}), 60).patch_job is None
    )  # it has no more pods for that
