"""When an Event is due, and of which type."""

from datetime import UTC, datetime

import pytest

from trainjob_operator.trainjob.events import event_for

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def conditions(kind, truth, reason, message="said"):
    return {"conditions": [{"type": kind, "status": truth, "reason": reason, "message": message}]}


def after(item, before, now):
    return event_for({**item("mnist", 1), "status": before}, now, "operator-1", NOW)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (conditions("Running", "False", "Starting"), conditions("Running", "True", "Running"), ("Normal", "Running")),
        (conditions("Running", "False", "Starting"), conditions("Running", "False", "Unschedulable"),
         ("Warning", "Unschedulable")),
        (conditions("Running", "True", "Running"), conditions("Complete", "True", "EarlyStopped"),
         ("Normal", "EarlyStopped")),
        (conditions("Running", "True", "Running"), conditions("Failed", "True", "UserError"),
         ("Warning", "UserError")),
        (conditions("Running", "True", "Running"), conditions("Suspended", "True", "Suspended"),
         ("Normal", "Suspended")),
    ],
)  # fmt: skip
def test_a_change_of_what_is_told_first_is_an_event(item, before, now, expected):
    event = after(item, before, now)
    assert (event["type"], event["reason"]) == expected
    assert event["regarding"]["uid"] == "uid-mnist"
    assert event["eventTime"] == "2026-11-21T10:00:00.000000Z"


@pytest.mark.parametrize(
    "now",
    [
        {"activeSeconds": 3},
        conditions("Running", "True", "Running", "other words"),
        conditions("Running", "True", "Stopping"),
        *(conditions("Running", "False", reason) for reason in ("Starting", "Suspending", "Ending")),
    ],
)
def test_other_changes_are_none(item, now):
    assert after(item, conditions("Running", "True", "Running"), now) is None


def test_a_long_message_is_cut_to_what_an_event_holds(item):
    event = after(item, None, conditions("Failed", "True", "InvalidSpec", "m" * 5000))
    assert len(event["note"]) == 1024


def test_an_event_holds_so_many_bytes_not_characters(item):
    event = after(item, None, conditions("Failed", "True", "InvalidSpec", "x" + "é" * 1023))
    assert event["note"] == "x" + "é" * 511
