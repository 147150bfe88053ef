"""When a TrainJob has to end though it would go on. Times are seconds after `T0`."""

import pytest
from observed_trainjobs import at, heard, job, look, running, settled, story, trainjob, warning

from trainjob_operator.trainjob.active_job import SLOW_START_S


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


def test_a_run_that_reports_has_started_whatever_its_nodes_clock_says():
    raw = settled(trainjob(startupDeadlineSeconds=25), look(trainjob(), None, 0))
    raw["status"] |= {"startTime": at(-80), "training": {"epoch": 1, "lastUpdateTime": at(-60)}}
    found = look(raw, job(raw), 30)
    assert story(found) == [("Running", "True", "Running")]
    assert found.patch_job is None
    raw = settled(raw, found)
    assert look(raw, job(raw), 40).status == {}


def test_the_startup_deadline_names_what_kept_the_pods():
    raw = trainjob(startupDeadlineSeconds=600)
    refused = [warning("Job", "mnist", 1, "exceeded quota: team")]
    raw = settled(raw, look(raw, job(raw, active=0, ready=0), 300, [], refused))
    found = look(raw, job(raw, active=0, ready=0), 600, [], refused)
    assert found.status["conditions"][0]["message"] == (
        "not all workers have started within 600 s (startupDeadlineSeconds); "
        "Refused1: job mnist: exceeded quota: team"
    )
