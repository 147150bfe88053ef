import pytest

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("mode", "goal", "values", "stop"),
    [
        ("max", 0.99, [0.9, 0.98, 0.991], 3),
        ("max", 0.99, [0.9, 0.99], 2),
        ("max", 0.99, [0.9, 0.9899], None),
        ("min", 0.1, [0.5, 0.1], 2),
        ("min", 0.3, [0.5, 0.1 + 0.2], None),
        ("min", -2.0, [1, -1, -3], 3),
        ("min", 0.1, [0.0], 1),
    ],
)
def test_a_value_at_the_goal_has_reached_it(first_stop, mode, goal, values, stop):
    assert first_stop({"threshold": {"mode": mode, "value": goal}}, values) == stop


@pytest.mark.parametrize("policy", ["Count", "Ignore"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_not_finite_reaches_no_goal(first_stop, policy, value):
    for mode in ("min", "max"):
        assert first_stop({"threshold": {"mode": mode, "value": 0.0, "nonFinite": policy}}, [value]) is None


def test_the_verdict_is_of_the_latest_value(panel, stops, history):
    judged = panel({"threshold": {"value": 0.5}})
    assert stops(judged, history([1, 0.4, 0.6, 0.5])) == [2, 4]


@pytest.mark.parametrize(
    ("values", "sentence", "closeness"),
    [
        ([0.5, 0.75], "m 0.75 has not reached 1", 0.5),
        ([0.5, 0.25], "m 0.25 has not reached 1", 0.0),
        ([0.5, 1.25], "m 1.25 has reached 1", 1.0),
        ([1.5], "m 1.5 has reached 1", 1.0),
    ],
)
def test_the_verdict_says_how_near_the_goal_is(verdict, values, sentence, closeness):
    said = verdict({"threshold": {"mode": "max", "value": 1.0}}, values)
    assert (said.reason, said.closeness) == (sentence, closeness)


def test_the_smoothed_value_must_reach_the_goal(first_stop):
    goal = {"threshold": {"mode": "max", "value": 0.9, "smoothing": {"median": {"window": 3}}}}
    assert first_stop(goal, [0.5, 0.6, 0.95, 0.7, 0.89, 0.93, 0.94]) == 7
