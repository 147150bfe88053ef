import pytest

from trainjobs.stopping import MissingMetric, replay

CURVE = [0.9, 0.5, 0.6, 0.6, 0.4, 0.3]
PLATEAU = {"plateau": {"patience": 2}}
GOAL = {"threshold": {"value": 0.3}}


def test_every_criterion_is_judged_alone(panel, history):
    told = replay(panel({**PLATEAU, "shadow": True}, GOAL, {"budget": {"epochs": 9}}), history(CURVE))
    assert [(each.name, each.stop and each.stop.epoch) for each in told.criteria] == [
        ("plateau", 4),
        ("threshold", 6),
        ("budget", None),
    ]
    assert (told.stopped_by.name, told.end.epoch) == ("threshold", 6)


def test_a_stop_says_where_why_and_what_it_would_have_missed(panel, history):
    told = replay(panel(PLATEAU), history(CURVE))
    stop = told.criteria[0].stop
    assert (stop.epoch, stop.step, stop.seconds) == (4, 40, 8.0)
    assert stop.reason == "m 0.6 has not improved on 0.5 (epoch 2) for 2 reports"
    assert (stop.best.value, told.best.value) == (0.5, 0.3)


def test_the_first_stop_counts_also_when_the_criterion_changes_its_mind(panel, history):
    stop = replay(panel(GOAL), history([0.9, 0.3, 0.9, 0.2])).criteria[0].stop
    assert (stop.epoch, stop.reason) == (2, "m 0.3 has reached 0.3")


def test_without_a_length_there_is_no_estimate(panel, history):
    assert replay(panel(PLATEAU), history(CURVE)).criteria[0].stop.saved_of_max is None


@pytest.mark.parametrize(
    ("criteria", "named"),
    [
        ([GOAL, PLATEAU], "plateau"),
        ([GOAL, {"budget": {"epochs": 6}}], "threshold"),
        ([{**GOAL, "shadow": True}], None),
    ],
)
def test_the_earliest_stop_counts_and_at_once_the_first_named(panel, history, criteria, named):
    stopped_by = replay(panel(*criteria), history(CURVE)).stopped_by
    assert (stopped_by and stopped_by.name) == named


def test_gates_hold_in_a_replay(panel, history):
    late = replay(panel(PLATEAU, minEpochs=5), history(CURVE))
    assert late.stopped_by is None


def test_an_empty_history_stops_nothing(panel):
    told = replay(panel(PLATEAU), ())
    assert (told.criteria[0].stop, told.best, told.end) == (None, None, None)


def test_a_missing_metric_is_an_error_unless_in_the_shadow(panel, history):
    other = {"plateau": {"patience": 1, "monitor": "other"}}
    with pytest.raises(MissingMetric):
        replay(panel(other), history(CURVE))
    told = replay(panel({**other, "shadow": True}), history(CURVE))
    assert 'metric "other" was not reported' in told.criteria[0].last.verdict.reason
