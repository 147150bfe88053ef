"""Which condition comes first, and when its time moves. Times are seconds after `T0`."""

import pytest
from observed_trainjobs import after_write, at, conditions_of, heard, job_of, planned, trainjob


@pytest.mark.parametrize(
    ("status", "fields", "now", "expected"),
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
def test_the_first_condition_tells_the_state(status, fields, now, expected):
    raw = trainjob(status, suspend=fields.get("suspend", False))
    assert conditions_of(planned(raw, job_of(raw, **fields), now))[0] == expected


def test_a_transition_time_moves_only_with_the_truth():
    raw = trainjob(heard(50))
    raw = after_write(raw, planned(raw, job_of(raw), 60))
    raw["status"]["stopping"] = {"decisionTime": at(70), "reason": "enough"}
    found = planned(raw, job_of(raw), 75)
    assert conditions_of(found) == [("Running", "True", "Stopping")]
    assert found.status["conditions"][0]["lastTransitionTime"] == at(60)
