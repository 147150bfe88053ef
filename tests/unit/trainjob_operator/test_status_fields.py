"""What is counted in the status, and that what has not changed is not written. Times are seconds after `T0`."""

import pytest
from observed_trainjobs import after_write, heard, job_of, planned, running, trainjob

from trainjobs.api.status import TrainJobStatus


def test_the_same_state_gives_the_same_and_nothing_to_write():
    raw = trainjob(heard(50))
    raw = after_write(raw, planned(raw, job_of(raw), 60))
    again = planned(raw, job_of(raw), 90)
    assert (again.status, again.create, again.patch_job, again.delete_job) == ({}, (), None, False)


def test_running_time_is_added_up_over_suspensions():
    raw = trainjob(running(50, activeSeconds=30), suspend=True)
    found = planned(raw, job_of(raw, suspend=True, started=None, active=0), 150)
    assert found.status["activeSeconds"] == 130
    raw = after_write(raw, found)
    assert planned(raw, job_of(raw, suspend=True, started=None), 500).status == {}


COMPLETE = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods", 100)


def test_gpu_seconds_are_counted_where_the_run_has_not_counted_them():
    trainer = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4, "cpu": 8}}}
    raw = trainjob(running(50), trainer=trainer)
    assert planned(raw, job_of(raw, COMPLETE), 100).status["accounting"] == {"gpuSecondsUsed": 50 * 8}
    raw = trainjob(running(50, accounting={"gpuSecondsUsed": 390.5}), trainer=trainer)
    assert "accounting" not in planned(raw, job_of(raw, COMPLETE), 100).status


@pytest.mark.parametrize("stop", [None, {"reason": "enough"}])
def test_running_time_counts_also_when_the_job_has_vanished(stop):
    trainer = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4}}}
    raw = trainjob(running(50, activeSeconds=30), trainer=trainer, **({"stop": stop} if stop else {}))
    found = planned(raw, None, 100)
    assert found.status["activeSeconds"] == 80
    assert found.status.get("accounting") == ({"gpuSecondsUsed": 80 * 8} if stop else None)


def test_every_status_is_one_that_the_types_accept():
    raw = trainjob(running(50))
    for job in (job_of(raw), job_of(raw, COMPLETE), job_of(raw, suspend=True, started=None)):
        TrainJobStatus.model_validate(
            after_write(raw, planned(raw, job, 99))["status"], by_alias=True, by_name=False
        )
