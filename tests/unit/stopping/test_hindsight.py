import math

import pytest

from trainjobs.api.stopping import Mode, Stopping
from trainjobs.stopping import Panel, replay
from trainjobs.stopping.hindsight import Judged, Spread, outcome

NAN = float("nan")
TEST = Judged("test", Mode.MAX)


def hindsight(history, patience, **curves):
    seen = history(**curves)
    stopping = {"monitor": "m", "mode": "max", "criteria": [{"plateau": {"patience": patience}}]}
    again = replay(Panel.of(Stopping.model_validate(stopping)), seen)
    return outcome(seen, again, again.criteria[0], (Judged("m", Mode.MAX), TEST))


def test_a_stop_gives_up_the_better_checkpoint_that_came_later(history):
    found = hindsight(history, 1, m=[0.5, 0.4, 0.9, 0.8], test=[0.6, 0.5, 0.7, 0.9])
    assert found.saved == 0.5
    assert found.given_up == pytest.approx({"m": 0.4, "test": 0.1})


def test_a_criterion_that_does_not_stop_saves_and_gives_up_nothing(history):
    assert hindsight(history, 9, m=[0.5, 0.4], test=[0.6, 0.5]) == hindsight(
        history, 8, m=[1, 0], test=[1, 0]
    )


def test_a_metric_that_was_not_reported_there_is_left_out(history):
    assert hindsight(history, 1, m=[0.5, 0.4, 0.9], test=[None, 0.5, 0.7]).given_up.keys() == {"m"}


def test_a_stop_before_there_is_any_best_gives_up_everything(history):
    found = hindsight(history, 1, m=[NAN, 0.4, 0.9], test=[0.5, 0.5, NAN])
    assert found.given_up == {"m": math.inf}
    assert hindsight(history, 1, m=[0.5, 0.4, 0.9], test=[NAN, 0.5, 0.7]).given_up["test"] == math.inf
    assert hindsight(history, 1, m=[NAN, NAN], test=[1, 1]).given_up == {}


def test_a_spread_has_at_most_one_figure_in_twenty_above_its_95th_percentile():
    assert Spread.of(range(1, 41)) == Spread(20.5, 38, 40)
