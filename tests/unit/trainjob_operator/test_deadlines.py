"""When a TrainJob has to end though it would go on. Times are seconds after `T0`."""

from itertools import product

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
    before = planned(raw, job_of(raw, started=started), deadline - 1)
    assert before.patch_job is None
    assert before.requeue_after_s == 1
    found = planned(raw, job_of(raw, started=started), deadline)
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert conditions_of(found) == [("Running", "False", reason)]
    raw = after_write(raw, found)
    told = job_of(raw, started=started, spec={"activeDeadlineSeconds": 1})
    assert planned(raw, told, deadline + 1).patch_job is None
    ended = job_of(raw, ("Failed", "DeadlineExceeded", "", deadline + 2), started=started, active=0)
    assert ("Failed", "True", reason) in conditions_of(planned(raw, ended, deadline + 3))


def test_a_job_that_waits_to_be_admitted_has_no_deadline():
    raw = trainjob(labels={"kueue.x-k8s.io/queue-name": "q"}, startupDeadlineSeconds=1)
    found = planned(raw, job_of(raw, suspend=True, started=None), 10_000)
    assert conditions_of(found) == [("Suspended", "True", "Queued")]
    assert (found.requeue_after_s, found.patch_job) == (None, None)


def test_a_run_whose_pods_wait_for_capacity_is_starting_again_and_says_why_until_the_startup_deadline():
    raw = trainjob(running(50, activeSeconds=0), startupDeadlineSeconds=300)
    preempted = job_of(raw, active=2, ready=0)
    soon = planned(raw, preempted, 55)
    assert (soon.status, soon.requeue_after_s) == ({}, 50 + SLOW_START_S - 55)
    refused = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no GPU is free",
    }
    pending = {"metadata": {"name": "mnist-0"}, "status": {"conditions": [refused]}}
    found = planned(raw, preempted, 100, [pending])
    assert conditions_of(found) == [("Running", "False", "Unschedulable")]
    assert found.status["activeSeconds"] == 50
    raw = after_write(raw, found)
    assert planned(raw, preempted, 399, [pending]).patch_job is None
    found = planned(raw, preempted, 400, [pending])
    assert found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
    assert conditions_of(found) == [("Running", "False", "StartupDeadlineExceeded")]
    assert found.status["conditions"][0]["message"] == (
        "its pods were not there again within 300 s (startupDeadlineSeconds); "
        "Unschedulable: pod mnist-0: no GPU is free"
    )
    raw = after_write(raw, found)
    ended = job_of(
        raw, ("Failed", "DeadlineExceeded", "", 402), active=0, ready=0, spec={"activeDeadlineSeconds": 1}
    )
    over = planned(raw, ended, 403, [])
    assert conditions_of(over)[0] == ("Failed", "True", "StartupDeadlineExceeded")
    assert over.status["conditions"][0]["message"].endswith("no GPU is free")


def test_a_run_whose_pods_are_there_again_runs_and_has_the_whole_time_to_say_something():
    raw = trainjob(running(50), startupDeadlineSeconds=60, progressDeadlineSeconds=30)
    raw = after_write(raw, planned(raw, job_of(raw, ready=1), 100))
    assert raw["status"]["conditions"][0]["reason"] == "Starting"
    assert planned(raw, job_of(raw, ready=1), 110, []).status == {}
    back = planned(raw, job_of(raw), 120)
    assert conditions_of(back) == [("Running", "True", "Running")]
    raw = after_write(raw, back)
    assert planned(raw, job_of(raw), 319).patch_job is None  # 210 s of silence, though not of this life
    assert planned(raw, job_of(raw), 120 + 30 + 60 + 120).patch_job is not None


def test_a_run_that_reports_has_started_whatever_its_nodes_clock_says():
    raw = after_write(trainjob(startupDeadlineSeconds=25), planned(trainjob(), None, 0))
    raw["status"] |= {"startTime": at(-80), "training": {"epoch": 1, "lastUpdateTime": at(-60)}}
    found = planned(raw, job_of(raw), 30)
    assert conditions_of(found) == [("Running", "True", "Running")]
    assert found.patch_job is None
    raw = after_write(raw, found)
    assert planned(raw, job_of(raw), 40).status == {}


def test_the_startup_deadline_names_what_kept_the_pods():
    raw = trainjob(startupDeadlineSeconds=600)
    refused = [warning("Job", "mnist", 1, "exceeded quota: team")]
    raw = after_write(raw, planned(raw, job_of(raw, active=0, ready=0), 300, [], refused))
    found = planned(raw, job_of(raw, active=0, ready=0), 600, [], refused)
    assert found.status["conditions"][0]["message"] == (
        "not all workers have started within 600 s (startupDeadlineSeconds); "
        "Refused1: job mnist: exceeded quota: team"
    )


JOBS = {
    "no pods": {"active": 0, "ready": 0},
    "pods start": {"ready": 0},
    "one is missing": {"active": 1, "ready": 1},
    "all run": {},
    "one is lost": {"active": 0, "ready": 0, "terminating": 1},
    "all are told to end": {"active": 0, "ready": 0, "terminating": 2},
    "suspended with pods": {"suspend": True, "started": None, "terminating": 1},
    "complete with pods": {
        "conditions": [("SuccessCriteriaMet", "SuccessPolicy", "", 100)],
        "terminating": 1,
    },
    "failed with pods": {
        "conditions": [("FailureTarget", "BackoffLimitExceeded", "", 100)],
        "terminating": 1,
    },
}
RUNS = {
    "never heard of": None,
    "heard of before this life": heard(-50),
    "heard of": heard(50),
    "running": running(50),
    "stopping": running(50, stopping={"decisionTime": at(55), "reason": "enough"}),
    "years ahead": heard(10**8),
}
LOST = {
    "metadata": {"name": "mnist-0", "deletionTimestamp": at(90)},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running"},
}
PENDING = {"metadata": {"name": "mnist-0"}, "status": {"phase": "Pending"}}
PODS = {"not looked at": None, "none": [], "lost": [LOST], "pending": [PENDING]}
UNREADABLE = {"trainer": {"entrypoint": "", "maxEpochs": 0, "numNodes": "two"}, "backoffLimit": -1}
LIMIT_S = 60
MOST_S = 2 * LIMIT_S + 120 + 300
"""Both deadlines of the run, the operator's margin, and what pods may take to leave, from second 100 on."""


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_every_state_that_is_no_pause_has_a_deadline_if_nothing_happens_any_more(job):
    """A pass that says when to look again is repeated then, and finds the same Job, pods and run."""
    for run, pods in product(RUNS, PODS):
        ends(job, RUNS[run], PODS[pods], {}, (run, pods))
    for run, status in RUNS.items():
        ends(job, status, [LOST], UNREADABLE, (run, "lost, and a spec that cannot be read"))


def ends(job, run, pods, spec, case):
    fields = dict(job)
    conditions, suspend = fields.pop("conditions", ()), job.get("suspend", False)
    limits = {"startupDeadlineSeconds": LIMIT_S, "progressDeadlineSeconds": LIMIT_S}
    raw = trainjob(run, suspend=suspend, **limits, **spec)
    made = job_of(trainjob(), *conditions, **fields)
    now = 100.0
    while True:
        found = planned(raw, made, now, pods)
        raw = after_write(raw, found)
        first = (raw.get("status", {}).get("conditions") or [{"type": "", "status": ""}])[0]
        is_told_to_end = found.patch_job == {"spec": {"activeDeadlineSeconds": 1}}
        is_over = first["status"] == "True" and first["type"] in ("Complete", "Failed", "Suspended")
        if is_told_to_end or is_over:
            break
        if found.delete_job:  # of a spec that cannot be read, before its start
            assert (spec, run) == (UNREADABLE, None)
            break
        assert found.requeue_after_s is not None, (case, first)
        now += max(found.requeue_after_s, 1)
        assert now < 100 + MOST_S, (case, first)
