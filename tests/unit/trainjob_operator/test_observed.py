"""What one pass goes by: what can be read of a TrainJob is, and the rest says why not."""

from datetime import UTC, datetime

import pytest
from observed_trainjobs import T0, conditions_of, heard, job_of, planned, running, trainjob

from trainjob_operator.trainjob.observation.observed import Invalid, Valid, observe

UNREADABLE = {"stopping": {"monitor": "a", "criteria": [{"budget": {}}]}}


def test_a_running_job_outlives_a_bad_edit_of_its_criteria():
    raw = trainjob(heard(50), **UNREADABLE)
    found = planned(raw, job_of(trainjob()), 60)
    assert conditions_of(found) == [("Running", "True", "Running")]


def test_before_there_is_a_job_the_same_edit_is_invalid():
    observed = observe(trainjob(heard(50), **UNREADABLE), None, T0)
    assert isinstance(observed, Invalid)
    assert "must name at least one of epochs, steps, seconds" in observed.problem
    assert observed.status.training.epoch == 3  # what can be read is


def test_labels_that_somebody_puts_on_a_trainjob_take_nobody_the_hold_of_its_run():
    """No schema bounds them, and anybody who may edit it can put them there at any time."""
    queue = {"kueue.x-k8s.io/queue-name": "q"}
    labels = {f"a{n}": "x" for n in range(65)} | queue
    raw = trainjob(running(50), labels=labels, trainer={"config": {"lr": 1}}, suspend=True)
    job = job_of(trainjob(trainer={"config": {"lr": 1}}))
    assert planned(raw, job, 60).patch_job["spec"] == {"suspend": True}
    assert job_of(raw, labels=planned(trainjob(labels=labels), None, 1).create[-1]["metadata"]["labels"]).held
    late = trainjob(running(50), labels=labels, activeDeadlineSeconds=5)
    assert planned(late, job_of(trainjob()), 60).patch_job == {"spec": {"activeDeadlineSeconds": 1}}


def test_a_spec_without_what_trains_is_invalid_also_with_a_job():
    raw = trainjob(trainer={"entrypoint": ""})
    assert isinstance(observe(raw, job_of(trainjob()), T0), Invalid)


@pytest.mark.parametrize(("owner", "is_own"), [("me", True), ("former", False)])
def test_a_job_of_the_name_is_its_own_if_it_says_so(owner, is_own):
    assert observe(trainjob(), job_of(trainjob(), owner=owner), T0).has_own_job is is_own


def test_the_status_is_read_in_one_place_and_no_time_in_it_is_to_come():
    observed = observe(trainjob(heard(9000)), None, T0)
    assert isinstance(observed, Valid)
    assert observed.trainjob.status is None
    assert observed.status.training.last_update_time <= datetime(2026, 11, 21, 10, tzinfo=UTC)
