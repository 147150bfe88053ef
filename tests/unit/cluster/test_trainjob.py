import pytest

from manifests import manifest
from trainjobs.cluster import ClusterTrainJob
from trainjobs.exits import Exit

METADATA = {"namespace": "team", "uid": "1", "creationTimestamp": "2026-11-21T10:00:00Z"}


def seen(*conditions, **status):
    conditions = [
        {"lastTransitionTime": "2026-11-21T10:00:00Z", "status": "True", "message": "", **each}
        for each in conditions
    ]
    status = {"conditions": conditions, **status}
    return ClusterTrainJob.of({**manifest(metadata=METADATA), "status": status})


@pytest.mark.parametrize(
    ("conditions", "ended", "exit_code"),
    [
        ([], False, Exit.FAILURE),
        ([{"type": "Running", "reason": "Running"}], False, Exit.FAILURE),
        ([{"type": "Complete", "reason": "EarlyStopped"}], True, Exit.DONE),
        ([{"type": "Complete", "reason": "Finished"}], True, Exit.DONE),
        ([{"type": "Failed", "reason": "UserError"}], True, Exit.FAILURE),
        # what no operator of ours writes
        ([{"type": "Failed", "reason": "EarlyStopped"}], True, Exit.FAILURE),
        ([{"type": "Complete", "reason": "Running", "status": "Unknown"}], False, Exit.FAILURE),
    ],
)
def test_whether_it_has_ended_and_well(conditions, ended, exit_code):
    job = seen(*conditions)
    assert (job.ended, job.exit_code) == (ended, exit_code)


@pytest.mark.parametrize(
    "status", [None, "x", [], {"conditions": 5}, {"training": {"epoch": -1}}, {"restarts": "two"}]
)
def test_a_status_that_nobody_can_read_is_an_empty_one(status):
    job = ClusterTrainJob.of({**manifest(metadata=METADATA), "status": status})
    assert (job.state, job.ended, job.message) == ("New", False, "")


@pytest.mark.parametrize(
    ("spec", "length"),
    [
        ({"trainer": {"maxEpochs": 1200}}, "1,200 epochs"),
        ({"trainer": {"maxSteps": 9}}, "9 steps"),
        ({"trainer": {"maxEpochs": "x"}}, ""),
        ({"trainer": 3}, ""),
        ({}, ""),
    ],
)
def test_its_length_as_far_as_it_can_be_read(spec, length):
    assert ClusterTrainJob.of({"metadata": {"name": "mnist", **METADATA}, "spec": spec}).length == length
