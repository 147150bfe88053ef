import pytest


@pytest.mark.parametrize(
    ("limits", "stop", "sentence"),
    [
        ({"epochs": 3}, 3, "3 of 3 epochs are used"),
        ({"steps": 30}, 3, "30 of 30 steps are used"),
        ({"steps": 31}, 4, "40 of 31 steps are used"),
        ({"seconds": 4.5}, 3, "6 of 4.5 seconds are used"),
        ({"epochs": 5, "seconds": 2}, 1, "2 of 2 seconds are used"),
    ],
)
def test_the_first_limit_reached_stops(first_stop, verdict, limits, stop, sentence):
    assert first_stop({"budget": limits}, [1.0] * 9) == stop
    assert verdict({"budget": limits}, [1.0] * stop).reason == sentence


def test_the_verdict_is_about_the_nearest_limit(verdict):
    said = verdict({"budget": {"epochs": 10, "steps": 40}}, [1.0, 1.0])
    assert (said.waiting, said.closeness, said.reason) == ("20/40", 0.5, "20 of 40 steps are used")


def test_it_reads_no_metric(first_stop):
    assert first_stop({"budget": {"epochs": 2}}, [float("nan"), None], monitor="never_reported") == 2


def test_what_is_used_while_the_gate_was_closed_counts(first_stop):
    assert first_stop({"budget": {"epochs": 2}, "startAfter": {"epoch": 4}}, [1.0] * 6) == 5


def test_before_the_first_report_it_has_no_opinion(panel):
    judged = panel({"budget": {"epochs": 2}})
    said = judged.judge(judged.fold(())).findings[0].verdict
    assert (said.stop, said.undecided, said.reason) == (False, True, "nothing has been reported yet")
