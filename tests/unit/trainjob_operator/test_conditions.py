"""Which condition comes first, and when its time moves. Times are seconds after `T0`."""

import pytest
from observed_trainjobs import at, heard, job, look, settled, story, trainjob


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


def test_a_transition_time_moves_only_with_the_truth():
    raw = trainjob(heard(50))
    raw = settled(raw, look(raw, job(raw), 60))
    raw["status"]["stopping"] = {"decisionTime": at(70), "reason": "enough"}
    found = look(raw, job(raw), 75)
    assert story(found) == [("Running", "True", "Stopping")]
    assert found.status["conditions"][0]["lastTransitionTime"] == at(60)
