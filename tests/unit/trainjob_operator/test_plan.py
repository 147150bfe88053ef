"""What should be of a TrainJob: one table for each question. Times are seconds after `T0`."""

from datetime import UTC, datetime, timedelta

import pytest

from trainjob_operator.trainjob.actions import Desired
from trainjob_operator.trainjob.active_job import FAREWELL_S, SLOW_START_S, UNTOLD_S
from trainjob_operator.trainjob.diagnosis import Seen
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.observed_job import JobFacts, job_facts, projected
from trainjob_operator.trainjob.plan import Settings, desired
from trainjobs.api.manifest import parse
from trainjobs.api.status import TrainJobStatus

T0 = datetime(2026, 11, 21, 10, tzinfo=UTC)


def at(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def trainjob(status=None, labels=None, **spec):
    """A TrainJob as the API server gives it."""
    trainer = {"entrypoint": "train:train", "maxEpochs": 100, "numNodes": 2, **spec.pop("trainer", {})}
    return {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": "mnist",
            "namespace": "team",
            "uid": "me",
            "generation": 3,
            "resourceVersion": "7",
            "creationTimestamp": at(0),
            "labels": labels or {},
        },
        "spec": {"trainer": trainer, **spec},
        **({"status": status} if status else {}),
    }


def job(raw, *conditions, started=0, suspend=False, owner="me", **fields) -> JobFacts:
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
            "annotations": {"trainjobs.dev/made-from": fields.pop("made_from", digest(parse(raw)))},
            **fields.pop("metadata", {}),
        },
        "spec": {"suspend": suspend, **fields.pop("spec", {})},
        "status": {**status, **fields},
    }
    found = job_facts(projected(item))
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


def look(raw, facts, now, pods=None, warnings=()):
    seen = None if pods is None else Seen(pods, list(warnings))
    return desired(raw, facts, T0 + timedelta(seconds=now), "secret", Settings("default:1"), seen)


def warning(kind, name, number, note):
    """An Event; the higher the number, the newer."""
    return {
        "regarding": {"kind": kind, "name": name},
        "reason": f"Refused{number}",
        "note": note,
        "deprecatedLastTimestamp": at(number),
    }


def story(found) -> list[tuple[str, str, str]]:
    """Conditions as (type, status, reason)."""
    return [(each["type"], each["status"], each["reason"]) for each in found.status["conditions"]]


def settled(raw, found):
    """The TrainJob after the status was written."""
    return {**raw, "status": {**(raw.get("status") or {}), **found.status}}


def test_without_a_job_everything_is_made_the_job_last():
    found = look(trainjob(), None, 1)
    kinds = [item["kind"] for item in found.create]
    assert kinds == ["ServiceAccount", "RoleBinding", "Secret", "Service", "NetworkPolicy", "Job"]
    assert story(found) == [("Running", "False", "Starting")]


def test_everything_but_what_a_namespace_shares_goes_with_the_trainjob():
    for item in look(trainjob(), None, 1).create[2:]:
        assert [owner["uid"] for owner in item["metadata"]["ownerReferences"]] == ["me"]
        assert item["metadata"]["labels"]["trainjobs.dev/trainjob"] == "mnist"


def test_the_same_state_gives_the_same_and_nothing_to_write():
    raw = trainjob(heard(50))
    raw = settled(raw, look(raw, job(raw), 60))
    again = look(raw, job(raw), 90)
    assert (again.status, again.create, again.patch_job, again.delete_job) == ({}, (), None, False)


@pytest.mark.parametrize(
    ("status", "facts", "now", "expected"),
    [
        (None, {}, 5, ("Running", "False", "Starting")),
        (heard(50), {}, 60, ("Running", "True", "Running")),
        (heard(50), {"started": 55}, 60, ("Running", "False", "Starting")),
        (
            heard(50, stopping={"decisionTime": at(55), "reason": "enough"}),
            {},
            60,
            ("Running", "True", "Stopping"),
        ),
        (None, {"suspend": True, "started": None}, 5, ("Suspended", "True", "Suspended")),
        (heard(50), {"suspend": True, "started": None, "active": 1}, 60, ("Running", "False", "Suspending")),
    ],
    ids=["starting", "running", "restarted", "stopping", "suspended", "suspending"],
)
def test_the_first_condition_tells_the_state(status, facts, now, expected):
    raw = trainjob(status, suspend=facts.get("suspend", False))
    assert story(look(raw, job(raw, **facts), now))[0] == expected


COMPLETE = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods", 100)
SUCCESS = ("SuccessCriteriaMet", "SuccessPolicy", "", 100)


@pytest.mark.parametrize(
    ("status", "spec", "expected", "message"),
    [
        (heard(90), {}, [("Complete", "True", "Finished")], "trained 3 of 100 epochs"),
        (
            heard(90),
            {"trainer": {"maxEpochs": None, "maxSteps": 9}},
            [("Complete", "True", "Finished")],
            "trained 9 of 9 steps",
        ),
        (
            heard(90, stopping={"criterion": "plateau", "reason": "val_loss has not improved"}),
            {},
            [("Complete", "True", "EarlyStopped"), ("EarlyStopped", "True", "EarlyStopped")],
            "val_loss has not improved",
        ),
        (
            heard(90, stopping={"reason": "stop verb"}),
            {"stop": {"reason": "good enough"}},
            [("Complete", "True", "StopRequested")],
            "stopped on request: good enough",
        ),
    ],
)
def test_a_complete_job_completes_the_trainjob_with_its_reason(status, spec, expected, message):
    raw = trainjob(status, **spec)
    found = look(raw, job(raw, COMPLETE, SUCCESS, active=0), 101)
    assert story(found) == expected
    assert found.status["conditions"][0]["message"] == message
    assert found.status["completionTime"] == at(101)


@pytest.mark.parametrize(
    ("condition", "reason", "message"),
    [
        (
            ("Failed", "BackoffLimitExceeded", "Job has reached the limit", 100),
            "BackoffLimitExceeded",
            "Job has",
        ),
        (("Failed", "PodFailurePolicy", "exit code 70", 100), "UserError", "exit code 70"),
        (("Failed", "DeadlineExceeded", "too long", 100), "DeadlineExceeded", "too long"),
    ],
)
def test_a_failed_job_fails_the_trainjob_with_the_runs_last_words(condition, reason, message):
    raw = trainjob(heard(90))
    pod = {
        "metadata": {"name": "mnist-0-abcde", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "status": {
            "containerStatuses": [
                {
                    "name": "trainer",
                    "state": {"terminated": {"message": '{"message": "no module named trian"}'}},
                }
            ]
        },
    }
    assert look(raw, job(raw, condition), 101).wants_pods
    found = look(raw, job(raw, condition), 101, [pod])
    assert story(found) == [("Failed", "True", reason)]
    said = found.status["conditions"][0]["message"]
    assert said.startswith(message)
    assert said.endswith("the run's last words: no module named trian")


def test_what_the_driver_says_of_its_end_is_the_conditions_reason_and_message():
    raw = trainjob(heard(90))
    words = '{"reason": "NoProgress", "message": "no step for 30 s"}'
    pod = {
        "metadata": {"name": "mnist-0-abcde", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "status": {"containerStatuses": [{"name": "trainer", "state": {"terminated": {"message": words}}}]},
    }
    found = look(raw, job(raw, ("Failed", "PodFailurePolicy", "exit code 69", 100)), 101, [pod])
    assert story(found) == [("Failed", "True", "NoProgress")]
    assert found.status["conditions"][0]["message"] == "no step for 30 s"


def test_an_end_waits_for_the_pods_to_leave_but_not_for_ever():
    raw = trainjob(heard(90))
    facts = job(raw, SUCCESS)
    assert look(raw, facts, 101) == Desired(requeue_after_s=UNTOLD_S - 1)
    leaving = look(raw, facts, 100 + UNTOLD_S)
    assert story(leaving) == [("Running", "False", "Ending")]
    assert leaving.requeue_after_s == FAREWELL_S - UNTOLD_S
    assert story(look(raw, facts, 100 + FAREWELL_S)) == [("Complete", "True", "Finished")]
    failing = job(raw, ("FailureTarget", "BackoffLimitExceeded", "", 100))
    assert story(look(raw, failing, 100 + UNTOLD_S)) == [("Running", "False", "Ending")]
    assert story(look(raw, failing, 100 + FAREWELL_S)) == [("Failed", "True", "BackoffLimitExceeded")]


@pytest.mark.parametrize(
    ("status", "spec", "started", "deadline", "reason"),
    [
        (None, {"startupDeadlineSeconds": 60}, 0, 60, "StartupDeadlineExceeded"),
        (heard(50), {"startupDeadlineSeconds": 60}, 100, 160, "StartupDeadlineExceeded"),
        (running(50), {"activeDeadlineSeconds": 100}, 0, 150, "DeadlineExceeded"),
        (running(50, activeSeconds=70), {"activeDeadlineSeconds": 100}, 0, 80, "DeadlineExceeded"),
        (
            running(50),
            {"progressDeadlineSeconds": 30, "startupDeadlineSeconds": 60},
            0,
            50 + 30 + 60 + 120,
            "NoProgress",
        ),
    ],
)
def test_every_deadline_is_awaited_ends_the_job_and_gives_the_reason(status, spec, started, deadline, reason):
    raw = trainjob(status, **spec)
    before = look(raw, job(raw, started=started), deadline - 1)
    assert before.patch_job is None
    assert before.requeue_after_s == 1
    found = look(raw, job(raw, started=started), deadline)
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert story(found) == [("Running", "False", reason)]
    raw = settled(raw, found)
    told = job(raw, started=started, spec={"activeDeadlineSeconds": 1})
    assert look(raw, told, deadline + 1).patch_job is None
    ended = job(raw, ("Failed", "DeadlineExceeded", "", deadline + 2), started=started, active=0)
    assert ("Failed", "True", reason) in story(look(raw, ended, deadline + 3))


def test_a_job_that_waits_to_be_admitted_has_no_deadline():
    raw = trainjob(labels={"kueue.x-k8s.io/queue-name": "q"}, startupDeadlineSeconds=1)
    found = look(raw, job(raw, suspend=True, started=None), 10_000)
    assert story(found) == [("Suspended", "True", "Queued")]
    assert (found.requeue_after_s, found.patch_job) == (None, None)


def test_kueue_gets_its_labels_and_a_suspended_job_which_we_leave_alone():
    raw = trainjob(labels={"kueue.x-k8s.io/queue-name": "q", "other": "x"})
    made = look(raw, None, 1).create[-1]
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert "other" not in made["metadata"]["labels"]
    assert look(raw, job(raw), 2).patch_job is None


@pytest.mark.parametrize(("wanted", "found", "patch"), [(True, False, True), (False, True, False)])
def test_suspend_and_resume_are_passed_on(wanted, found, patch):
    raw = trainjob(heard(50), suspend=wanted)
    facts = job(raw, suspend=found, started=None if found else 0)
    assert look(raw, facts, 60).patch_job == {"spec": {"suspend": patch}}
    assert look(raw, job(raw, suspend=wanted, started=None if wanted else 0), 61).patch_job is None


def test_running_time_is_added_up_over_suspensions():
    raw = trainjob(running(50, activeSeconds=30), suspend=True)
    found = look(raw, job(raw, suspend=True, started=None, active=0), 150)
    assert found.status["activeSeconds"] == 130
    raw = settled(raw, found)
    assert look(raw, job(raw, suspend=True, started=None), 500).status == {}


def test_gpu_seconds_are_counted_where_the_run_has_not_counted_them():
    trainer = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4, "cpu": 8}}}
    raw = trainjob(running(50), trainer=trainer)
    assert look(raw, job(raw, COMPLETE), 100).status["accounting"] == {"gpuSecondsUsed": 50 * 8}
    raw = trainjob(running(50, accounting={"gpuSecondsUsed": 390.5}), trainer=trainer)
    assert "accounting" not in look(raw, job(raw, COMPLETE), 100).status


@pytest.mark.parametrize("stop", [None, {"reason": "enough"}])
def test_running_time_counts_also_when_the_job_has_vanished(stop):
    trainer = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4}}}
    raw = trainjob(running(50, activeSeconds=30), trainer=trainer, **({"stop": stop} if stop else {}))
    found = look(raw, None, 100)
    assert found.status["activeSeconds"] == 80
    assert found.status.get("accounting") == ({"gpuSecondsUsed": 80 * 8} if stop else None)


@pytest.mark.parametrize("suspend", [True, False])
def test_a_stop_before_the_training_completes_at_once_and_removes_the_job(suspend):
    raw = trainjob(stop={"reason": "never mind"}, suspend=suspend)
    facts = job(raw, suspend=suspend, started=None if suspend else 0)
    found = look(raw, facts, 5)
    assert story(found) == [("Complete", "True", "StopRequested")]
    assert found.status["conditions"][0]["message"] == "stopped on request: never mind"
    assert found.delete_job
    assert look(settled(raw, found), facts, 6).delete_job
    assert story(look(raw, None, 5)) == [("Complete", "True", "StopRequested")]


def test_a_stop_during_the_training_is_the_runs_to_follow():
    raw = trainjob(heard(50), stop={})
    found = look(raw, job(raw), 60)
    assert (found.delete_job, found.patch_job) == (False, None)
    assert story(found) == [("Running", "True", "Running")]


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
    facts = job(raw)
    assert not look(raw, facts, SLOW_START_S - 1).wants_pods
    slow = look(raw, facts, SLOW_START_S)
    assert (slow.wants_pods, slow.expected_pods) == (True, 2)
    pods = [{"metadata": {"name": f"mnist-{i}"}, "status": status} for i, status in enumerate(pods)]
    found = look(raw, facts, SLOW_START_S, pods)
    assert not found.wants_pods
    assert found.requeue_after_s == SLOW_START_S
    assert story(found) == [("Running", "False", reason)]
    assert found.status["conditions"][0]["message"] == message


def test_a_slow_start_is_explained_by_events_where_the_pods_are_silent():
    raw = trainjob()
    found = look(raw, job(raw), SLOW_START_S, [], [warning("Job", "mnist", 1, "exceeded quota: team")])
    assert story(found) == [("Running", "False", "Refused1")]
    assert found.status["conditions"][0]["message"] == "job mnist: exceeded quota: team"


@pytest.mark.parametrize(("with_pods", "in_place"), [(0, 3), (3, 0), (2, 1)])
def test_as_many_failed_attempts_as_the_limit_end_nothing(with_pods, in_place):
    raw = trainjob(running(50, failedAttempts=in_place), backoffLimit=3)
    found = look(raw, job(raw, failed=with_pods), 60)
    assert (found.patch_job, found.status) == (None, {})


def test_attempts_that_failed_in_place_and_with_their_pods_count_together():
    raw = trainjob(running(50, failedAttempts=2), backoffLimit=3)
    found = look(raw, job(raw, failed=2), 60)
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert story(found) == [("Running", "False", "BackoffLimitExceeded")]
    ended = job(raw, ("Failed", "DeadlineExceeded", "", 62), failed=2, active=0)
    over = look(raw, ended, 62, [])
    assert ("Failed", "True", "BackoffLimitExceeded") in story(over)
    assert (
        over.status["conditions"][0]["message"]
        == "4 attempts failed, 2 of them with their pods (backoffLimit 3)"
    )


def test_an_invalid_spec_fails_until_it_is_mended():
    broken = {
        "monitor": "a",
        "criteria": [{"plateau": {"patience": 1}, "name": "x"}, {"budget": {}, "name": "x"}],
    }
    raw = trainjob(stopping=broken)
    found = look(raw, None, 1)
    assert story(found) == [("Failed", "True", "InvalidSpec")]
    assert "must name at least one of epochs, steps, seconds" in found.status["conditions"][0]["message"]
    assert not found.create
    mended = settled(trainjob(), found)
    assert story(look(mended, None, 2)) == [("Running", "False", "Starting"), ("Failed", "False", "Starting")]
    assert look(mended, None, 2).create


def test_a_running_job_outlives_a_bad_edit_of_its_criteria():
    raw = trainjob(heard(50), stopping={"monitor": "a", "criteria": [{"budget": {}}]})
    found = look(raw, job(trainjob()), 60)
    assert story(found) == [("Running", "True", "Running")]


def test_a_change_before_the_start_makes_the_job_anew_and_after_the_start_it_does_not():
    raw = trainjob()
    assert look(raw, job(raw, made_from="other"), 5).delete_job
    raw = trainjob(heard(50))
    assert not look(raw, job(raw, made_from="other"), 60).delete_job


def test_a_job_on_its_way_out_is_waited_for():
    raw = trainjob()
    found = look(raw, job(raw, metadata={"deletionTimestamp": at(4)}), 5)
    assert (found.create, found.delete_job) == ((), False)
    assert found.requeue_after_s


def test_the_job_of_a_former_trainjob_of_the_same_name_says_nothing_about_this_one():
    raw = trainjob(startupDeadlineSeconds=60)
    found = look(raw, job(raw, COMPLETE, owner="former"), 5)
    assert story(found) == [("Running", "False", "NameTaken")]
    assert (found.create, found.delete_job, found.patch_job) == ((), False, None)
    assert found.requeue_after_s
    assert story(look(raw, job(raw, owner="foreign"), 60)) == [("Failed", "True", "NameTaken")]


@pytest.mark.parametrize(
    ("ttl", "now", "deleted", "wait"),
    [(None, 9999, False, None), (60, 150, False, 10), (60, 160, True, None), (0, 100, True, None)],
)
def test_a_finished_trainjob_is_deleted_when_its_time_has_come(ttl, now, deleted, wait):
    raw = trainjob(heard(90), **({} if ttl is None else {"ttlSecondsAfterFinished": ttl}))
    raw = settled(raw, look(raw, job(raw, COMPLETE), 100))
    found = look(raw, job(raw, COMPLETE), now)
    assert (found.delete_trainjob, found.requeue_after_s) == (deleted, wait)
    assert (found.status, found.create, found.delete_job) == ({}, (), False)


def test_nothing_is_done_for_a_trainjob_that_is_being_deleted():
    raw = trainjob()
    raw["metadata"]["deletionTimestamp"] = at(5)
    found = look(raw, None, 6)
    assert (found.create, found.status, found.delete_job) == ((), {}, False)


def test_a_transition_time_moves_only_with_the_truth():
    raw = trainjob(heard(50))
    raw = settled(raw, look(raw, job(raw), 60))
    raw["status"]["stopping"] = {"decisionTime": at(70), "reason": "enough"}
    found = look(raw, job(raw), 75)
    assert story(found) == [("Running", "True", "Stopping")]
    assert found.status["conditions"][0]["lastTransitionTime"] == at(60)


def test_every_status_is_one_that_the_types_accept():
    raw = trainjob(running(50))
    for facts in (job(raw), job(raw, COMPLETE), job(raw, suspend=True, started=None)):
        TrainJobStatus.model_validate(
            settled(raw, look(raw, facts, 99))["status"], by_alias=True, by_name=False
        )


def test_a_run_whose_pods_wait_for_capacity_is_starting_again_and_says_why_until_the_startup_deadline():
    raw = trainjob(running(50, activeSeconds=0), startupDeadlineSeconds=300)
    preempted = job(raw, active=2, ready=0)
    soon = look(raw, preempted, 55)
    assert (soon.status, soon.requeue_after_s) == ({}, 50 + SLOW_START_S - 55)
    refused = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no GPU is free",
    }
    pending = {"metadata": {"name": "mnist-0"}, "status": {"conditions": [refused]}}
    found = look(raw, preempted, 100, [pending])
    assert story(found) == [("Running", "False", "Unschedulable")]
    assert found.status["activeSeconds"] == 50
    raw = settled(raw, found)
    assert look(raw, preempted, 399, [pending]).patch_job is None
    found = look(raw, preempted, 400, [pending])
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert story(found) == [("Running", "False", "StartupDeadlineExceeded")]
    assert found.status["conditions"][0]["message"] == (
        "its pods were not there again within 300 s (startupDeadlineSeconds); "
        "Unschedulable: pod mnist-0: no GPU is free"
    )
    raw = settled(raw, found)
    ended = job(
        raw, ("Failed", "DeadlineExceeded", "", 402), active=0, ready=0, spec={"activeDeadlineSeconds": 1}
    )
    over = look(raw, ended, 403, [])
    assert story(over)[0] == ("Failed", "True", "StartupDeadlineExceeded")
    assert over.status["conditions"][0]["message"].endswith("no GPU is free")


def test_a_run_whose_pods_are_there_again_runs_and_has_the_whole_time_to_say_something():
    raw = trainjob(running(50), startupDeadlineSeconds=60, progressDeadlineSeconds=30)
    raw = settled(raw, look(raw, job(raw, ready=1), 100))
    assert raw["status"]["conditions"][0]["reason"] == "Starting"
    assert look(raw, job(raw, ready=1), 110, []).status == {}
    back = look(raw, job(raw), 120)
    assert story(back) == [("Running", "True", "Running")]
    raw = settled(raw, back)
    assert look(raw, job(raw), 319).patch_job is None  # 210 s of silence, though not of this life
    assert look(raw, job(raw), 120 + 30 + 60 + 120).patch_job is not None


def test_a_run_that_goes_on_talking_is_running_whatever_its_pods_probes_say():
    raw = trainjob(running(50, activeSeconds=10), startupDeadlineSeconds=60)
    for now in range(60, 600, 20):
        raw["status"]["training"]["lastUpdateTime"] = at(now)
        found = look(raw, job(raw, ready=0), now)
        assert (found.status, found.patch_job) == ({}, None)


def test_a_stop_of_a_run_of_which_no_pod_is_there_completes_it():
    raw = trainjob(running(50), stop={"reason": "enough"})
    assert not look(raw, job(raw, ready=1), 100, []).delete_job  # somebody is there who follows
    found = look(raw, job(raw, ready=0), 100)
    assert found.delete_job
    assert story(found)[0] == ("Complete", "True", "StopRequested")


def test_a_pod_that_is_replaced_while_the_run_goes_on_talking_is_no_news():
    raw = trainjob(running(50))
    assert look(raw, job(raw, active=1, terminating=1, ready=1), 70).status == {}


LOST = {
    "metadata": {"name": "mnist-0", "deletionTimestamp": at(90)},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running"},
}


def test_a_pod_that_does_not_leave_its_node_is_named_also_when_the_run_is_suspended():
    raw = trainjob(running(50))
    facts = job(raw, active=0, terminating=1, ready=0)
    assert look(raw, facts, 100).wants_pods
    assert story(look(raw, facts, 100, [LOST])) == [("Running", "False", "Terminating")]
    raw = trainjob(running(50), suspend=True)
    facts = job(raw, suspend=True, started=None, terminating=1)
    raw = settled(raw, look(raw, facts, 100))
    before = look(raw, facts, 100 + FAREWELL_S - 1)
    assert (before.wants_pods, before.requeue_after_s, before.status) == (False, 1, {})
    assert look(raw, facts, 100 + FAREWELL_S).wants_pods
    found = look(raw, facts, 100 + FAREWELL_S, [LOST])
    assert story(found)[0] == ("Running", "False", "Suspending")
    assert "was to be gone from node node-1" in found.status["conditions"][0]["message"]
    assert found.requeue_after_s is None or found.requeue_after_s > 0


def test_a_run_that_reports_has_started_whatever_its_nodes_clock_says():
    raw = settled(trainjob(startupDeadlineSeconds=25), look(trainjob(), None, 0))
    raw["status"] |= {"startTime": at(-80), "training": {"epoch": 1, "lastUpdateTime": at(-60)}}
    found = look(raw, job(raw), 30)
    assert story(found) == [("Running", "True", "Running")]
    assert found.patch_job is None
    raw = settled(raw, found)
    assert look(raw, job(raw), 40).status == {}


def failed_pod(name="mnist-1", **status):
    return {"metadata": {"name": name, "creationTimestamp": at(10)}, "status": {"phase": "Failed", **status}}


def container(name, **terminated):
    return [{"name": name, "state": {"terminated": terminated}}]


@pytest.mark.parametrize(
    ("pod", "cause"),
    [
        (failed_pod(containerStatuses=container("trainer", exitCode=137, reason="OOMKilled")),
         "container trainer: OOMKilled (exit code 137)"),
        (failed_pod(initContainerStatuses=container("fetch", exitCode=3, message="s3://data: access denied\n")),
         "init container fetch: exit code 3: s3://data: access denied"),
        (failed_pod(reason="Evicted", message='Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'),
         'Evicted: Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'),
    ],
)  # fmt: skip
def test_why_a_pod_failed_is_in_the_condition(pod, cause):
    raw = trainjob(heard(90))
    limit = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit", 100)
    found = look(raw, job(raw, limit, ready=0), 101, [pod])
    message = found.status["conditions"][0]["message"]
    assert message == f"Job has reached the specified backoff limit; pod mnist-1: {cause}"


def test_the_startup_deadline_names_what_kept_the_pods():
    raw = trainjob(startupDeadlineSeconds=600)
    refused = [warning("Job", "mnist", 1, "exceeded quota: team")]
    raw = settled(raw, look(raw, job(raw, active=0, ready=0), 300, [], refused))
    found = look(raw, job(raw, active=0, ready=0), 600, [], refused)
    assert found.status["conditions"][0]["message"] == (
        "not all workers have started within 600 s (startupDeadlineSeconds); "
        "Refused1: job mnist: exceeded quota: team"
    )


QUEUE = "kueue.x-k8s.io/queue-name"


def test_kueue_hears_of_another_queue_while_the_job_waits():
    raw = trainjob(labels={QUEUE: "big", "kueue.x-k8s.io/priority-class": "high"})
    waits = job(
        raw, suspend=True, started=None, labels={QUEUE: "small", "kueue.x-k8s.io/priority-class": "high"}
    )
    assert look(raw, waits, 5).patch_job == {"metadata": {"labels": {QUEUE: "big"}}}
    runs = job(raw, labels={QUEUE: "small"})
    assert look(raw, runs, 5).patch_job is None


@pytest.mark.parametrize(
    ("trainjobs", "jobs", "spec", "patch"),
    [
        ({QUEUE: "q"}, {}, {}, {"spec": {"suspend": True}}),  # the label came when the Job ran already
        ({}, {QUEUE: "q"}, {}, None),  # a queue by default
        ({}, {}, {"managedBy": "kueue.x-k8s.io/multikueue"}, None),
        ({}, {}, {"managedBy": "kubernetes.io/job-controller"}, {"spec": {"suspend": True}}),
    ],
)
def test_who_decides_over_a_job_is_read_from_the_job(trainjobs, jobs, spec, patch):
    raw = trainjob(heard(50), labels=trainjobs, suspend=True)
    assert look(raw, job(raw, labels=jobs, spec=spec), 60).patch_job == patch


def test_a_container_that_would_outlive_the_training_is_refused_with_the_way_out():
    proxy = {"podTemplate": {"spec": {"containers": [{"name": "trainer"}, {"name": "proxy", "image": "x"}]}}}
    found = look(trainjob(**proxy), None, 1)
    assert story(found) == [("Failed", "True", "InvalidSpec")]
    message = found.status["conditions"][0]["message"]
    assert message.startswith("spec.podTemplate.spec.containers: proxy ")
    assert "initContainers with restartPolicy: Always" in message
    assert not found.create
    native = {"podTemplate": {"spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}}}
    assert look(trainjob(**native), None, 1).create
    raw = trainjob(heard(50), **proxy)
    assert story(look(raw, job(raw), 60)) == [("Running", "True", "Running")]  # what runs goes on


def test_labels_of_the_pods_are_the_jobs_too():
    metadata = {"labels": {"cost-center": "7"}, "annotations": {"team": "vision"}}
    made = look(trainjob(podTemplate={"metadata": metadata}), None, 1).create[-1]
    for each in (made, made["spec"]["template"]):
        assert each["metadata"]["labels"]["cost-center"] == "7"
        assert each["metadata"]["annotations"]["team"] == "vision"
