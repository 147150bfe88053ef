import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api.length import Length
from trainjobs.api.stopping import Stopping
from trainjobs.exits import ConfigError
from trainjobs.stopping import Observation, Panel, replay

CURVES = Path(__file__).parents[2] / "data" / "curves" / "curves.jsonl.gz"
NAN = float("nan")
NOISE = [0.01 * math.sin(37.0 * i * i) for i in range(100)]
LEARNT = [0.2 + 0.8 * 0.6**i for i in range(100)]
OVERFITTED = [abs(i - 12) / 50 + 0.3 + NOISE[i] for i in range(100)]
FALLS = [1 - 0.009 * i + NOISE[i] for i in range(100)]
LATE = [0.7 + NOISE[i] for i in range(30)] + [0.1] * 70
RULE = {"extrapolation": {}}


def by(**parameters):
    return {"extrapolation": parameters}


@pytest.mark.parametrize(
    ("criterion", "values", "expected"),
    [
        (RULE, OVERFITTED, 33),  # the best, at epoch 13, is left far behind
        (by(probability=0.2), OVERFITTED, 25),
        (by(minDelta=0.05), LEARNT, 37),  # nothing that counts since epoch 7
        (by(minDelta=0.1, minDeltaMode="Relative"), LEARNT, 43),
        (RULE, LEARNT[:60], None),  # it falls on, by less and less
        (RULE, FALLS[:99], None),
        (RULE, NOISE[:60], None),  # the best of the next 40 beats the best of 60 in two cases of five
        (RULE, LATE[:31], None),  # a plateau is no reason while two thirds are left
        (RULE, [0.5], None),
        (RULE, OVERFITTED[:9], None),
    ],
)
def test_it_stops_when_an_improvement_is_improbable(first_stop, criterion, values, expected):
    assert first_stop(criterion, values) == expected


def test_a_metric_that_never_moved_is_no_reason(first_stop):
    assert first_stop(RULE, [0.5] * 90) is None


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_the_scale_of_a_metric_makes_no_difference(first_stop, scale):
    assert first_stop(RULE, [scale * value for value in OVERFITTED]) == first_stop(RULE, OVERFITTED)


def test_a_score_is_judged_as_a_loss_upside_down(first_stop):
    upside_down = [-value for value in OVERFITTED]
    assert first_stop(RULE, upside_down, mode="max") == first_stop(RULE, OVERFITTED)


@pytest.mark.parametrize(("rule", "expected"), [("Stop", 14), ("Count", 34), ("Ignore", 34)])
def test_nan_is_no_improvement_and_no_noise(first_stop, rule, expected):
    values = [*OVERFITTED[:13], NAN, *OVERFITTED[14:]]
    stop = first_stop(by(nonFinite=rule), values)
    assert stop == expected


def test_a_metric_that_is_never_finite_is_no_reason(verdict):
    said = verdict(by(nonFinite="Count"), [NAN] * 20)
    assert (said.stop, said.reason) == (False, "m has had no finite value yet")


def test_a_run_in_steps_is_judged_by_the_reports_that_are_left_at_its_pace():
    stopping = Stopping.model_validate({"monitor": "m", "criteria": [RULE]})
    panel = Panel.of(stopping, Length.of(None, 1000))
    history = [
        Observation(1, 10 * i, 0.0, {"m": value}, whole=False) for i, value in enumerate(OVERFITTED, start=1)
    ]
    assert replay(panel, history).criteria[0].stop.step == 330


def test_how_much_is_left_is_not_guessed():
    stopping = Stopping.model_validate({"monitor": "m", "criteria": [RULE]})
    with pytest.raises(ConfigError, match="its length is not known"):
        Panel.of(stopping)


def test_nothing_is_left_at_the_end(verdict):
    said = verdict(RULE, FALLS)
    assert said.stop
    assert "in the 0 reports that are left with probability 0," in said.reason
    assert "in the 1 report that is left with" in verdict(RULE, FALLS[:99]).reason


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(by(minDelta=0.01), OVERFITTED[:40])
    assert said.stop
    assert said.reason == (
        "m 0.830032 will improve on 0.298593 (epoch 13) by more than 0.01 in the 60 reports that are left "
        "with probability 0.015, less than 0.05"
    )
    assert (said.closeness, said.best_epoch) == (1.0, 13)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.5], "m 0.5: of the 10 finite values that it takes there are 1"),
        ([0.5] * 9, "m 0.5: of the 10 finite values that it takes there are 9"),
    ],
)
def test_it_says_what_it_waits_for(verdict, values, reason):
    assert verdict(RULE, values).reason == reason


def test_it_says_that_it_does_not_know_what_is_left():
    stopping = Stopping.model_validate({"monitor": "m", "criteria": [RULE]})
    panel = Panel.of(stopping, Length.of(50, None))
    amid = [Observation(1, i, 0.0, {"m": 0.5}, whole=False) for i in range(1, 13)]
    (found,) = panel.judge(panel.fold(amid)).findings
    assert found.verdict.reason == "m 0.5: how many reports are left is not known yet"


def test_a_folded_history_says_what_each_report_said(rulings, panel, history):
    judged, seen = panel(RULE), history(OVERFITTED)
    resumed = panel(RULE).fold(seen[:30])
    resumed = judged.fold(seen[30:40], resumed)
    assert judged.judge(resumed).findings == rulings(judged, seen)[39].findings


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-64, 64).map(lambda i: i / 64), min_size=12, max_size=40), st.floats(0.01, 1))
def test_a_chance_is_one_whatever_the_values_are(values, margin):
    stopping = Stopping.model_validate({"monitor": "m", "criteria": [by(), by(minDelta=margin)]})
    panel = Panel.of(stopping, Length.of(60, None))
    seen = [Observation(i, i, 0.0, {"m": value}) for i, value in enumerate(values, start=1)]
    for finding in panel.judge(panel.fold(seen)).findings:
        assert 0 < finding.verdict.closeness <= 1
        assert finding.verdict.stop == (finding.verdict.closeness == 1)


def judging(metric):
    """Validation curves of the recorded runs that the weights were not made with."""
    lines = gzip.decompress(CURVES.read_bytes()).decode().splitlines()
    runs = [run for run in map(json.loads, lines) if run["set"] == "judging" and run["epochs"] == 100]
    return [run["curves"][metric] for run in runs if all(map(math.isfinite, run["curves"][metric]))]


@pytest.mark.parametrize(("metric", "mode"), [("val_accuracy", "max"), ("val_loss", "min")])
def test_five_percent_are_five_on_runs_it_was_not_made_with(first_stop, metric, mode):
    stopping = Stopping.model_validate({"monitor": "m", "mode": mode, "criteria": [RULE]})
    best, wrong, stops = max if mode == "max" else min, 0, 0
    for values in judging(metric):
        history = [Observation(i, i, 0.0, {"m": value}) for i, value in enumerate(values, start=1)]
        stop = replay(Panel.of(stopping, Length.of(100, None)), history).criteria[0].stop
        if stop.epoch < 100:
            stops += 1
            wrong += best(values) != best(values[: stop.epoch])
    assert stops > 80
    assert 0.03 < wrong / stops < 0.06
