"""Runs that report amid an epoch: such a report counts no epoch more, and every other word means what it ever does."""

import pytest

from trainjobs.api import Length
from trainjobs.api.manifest import parse_stopping
from trainjobs.stopping import Observation, Panel, replay


def one_epoch(values, **others):
    """One epoch that reports `m` every ten steps, two seconds each; its training is over at the last report."""
    last = len(values)
    return tuple(
        Observation(
            1, 10 * i, 2.0 * i, {"m": value, **{n: v[i - 1] for n, v in others.items()}}, whole=i == last
        )
        for i, value in enumerate(values, start=1)
    )


def two_reports_an_epoch(values):
    return tuple(
        Observation((i + 1) // 2, 10 * i, 2.0 * i, {"m": value}, whole=i % 2 == 0)
        for i, value in enumerate(values, start=1)
    )


def stops(panel, history):
    state, steps = panel.fold(()), []
    for seen in history:
        state = panel.fold((seen,), state)
        if panel.judge(state).stop:
            steps.append(seen.step)
    return steps


NAN = float("nan")
GOAL = {"threshold": {"value": 0.5}}
CURVE = [0.9, 0.4, 0.6, 0.4, 0.45, 0.41]


@pytest.mark.parametrize(
    ("criterion", "above", "steps"),
    [
        ({"plateau": {"patience": 2}}, {}, [40, 50, 60]),
        (GOAL, {}, [20, 40, 50, 60]),
        ({"divergence": {"amount": 0.1}}, {}, [30]),
        ({"overfitting": {"gap": 0.3, "against": "t"}}, {}, [30]),
        ({"nonFinite": {"monitor": "n"}}, {}, [40]),
        ({"budget": {"epochs": 1}}, {}, [60]),
        ({"budget": {"epochs": 2}}, {}, []),
        ({"budget": {"steps": 35}}, {}, [40, 50, 60]),
        ({"budget": {"seconds": 9.5}}, {}, [50, 60]),
        ({"budget": {"epochs": 1, "steps": 50}}, {}, [50, 60]),
        ({"all": [GOAL, {"plateau": {"patience": 2}}]}, {}, [40, 50, 60]),
        ({"atLeast": {"count": 1, "of": [GOAL, {"budget": {"epochs": 1}}]}}, {}, [20, 40, 50, 60]),
        ({"not": {"budget": {"epochs": 1}}}, {}, [10, 20, 30, 40, 50]),
        (GOAL, {"startAfter": {"epoch": 0}}, [20, 40, 50, 60]),
        (GOAL, {"startAfter": {"epoch": 1}}, []),
        (GOAL, {"startAfter": {"step": 20}}, [40, 50, 60]),
        (GOAL, {"startAfter": {"step": 0}}, [20, 40, 50, 60]),
        (GOAL, {"minEpochs": 1}, [60]),
        (GOAL, {"minSteps": 40}, [40, 50, 60]),
        (GOAL, {"minSteps": 40, "minEpochs": 1}, [60]),
        ({"budget": {"steps": 20}}, {"minSteps": 40}, [40, 50, 60]),
        ({"plateau": {"patience": 2}}, {"smoothing": {"mean": {"window": 2}}}, []),
    ],
)
def test_every_rule_in_a_run_of_one_epoch(criterion, above, steps):
    history = one_epoch(CURVE, t=[0.9, 0.4, 0.2, 0.4, 0.4, 0.4], n=[1, 1, 1, NAN, 1, 1])
    panel = Panel.of(parse_stopping({"monitor": "m", **above, "criteria": [criterion]}))
    assert stops(panel, history) == steps


@pytest.mark.parametrize(
    ("criterion", "above", "steps"),
    [
        ({"budget": {"epochs": 2}}, {}, [40, 50, 60]),
        (GOAL, {"startAfter": {"epoch": 2}}, [50, 60]),
        (GOAL, {"startAfter": {"epoch": 2}, "minEpochs": 3}, [60]),
        (GOAL, {"minEpochs": 2}, [40, 50, 60]),
    ],
)
def test_words_in_epochs_mean_finished_ones(panel, criterion, above, steps):
    assert stops(panel(criterion, **above), two_reports_an_epoch([0.4] * 6)) == steps


@pytest.mark.parametrize(
    ("gate", "cause"),
    [({"startAfter": {"step": 30}}, "startAfter step 30"), ({"minSteps": 30}, "minSteps 30")],
)
def test_a_verdict_held_back_by_steps_says_so(panel, gate, cause):
    judged = panel(GOAL, **gate)
    (finding,) = judged.judge(judged.fold(one_epoch([0.4, 0.4]))).findings
    assert (finding.gated, finding.verdict.stop) == (cause, False)
    assert f"held back at epoch 1 by {cause}" in finding.verdict.reason


@pytest.mark.parametrize(
    ("criterion", "above", "reason"),
    [
        ({"plateau": {"patience": 9}}, {}, "m nan has not improved on 0.4 (step 20) for 2 reports"),
        (
            {"divergence": {"amount": 0.1}},
            {},
            "m nan is worse than the best 0.4 (step 20) by more than 0.1 for 2 reports",
        ),
        (
            {"weighted": {"patience": 9, "others": [{"metric": "m"}]}},
            {},
            "m nan, m nan: no weighted gain over step 20 of more than 0% for 2 reports",
        ),
        (
            {
                "private": {
                    "patience": 9,
                    "mechanism": "Laplace",
                    "sensitivity": 1e-9,
                    "epsilon": 1.0,
                    "seed": 7,
                }
            },
            {},
            "m nan (with noise of scale 1e-09) has not improved on 0.4 (step 20) for 2 reports; "
            "privacy spent: 4 in 4 reports",
        ),
        ({"threshold": {"value": 0.1}}, {"nonFinite": "Stop"}, "m is nan at step 40"),
        ({"nonFinite": {}}, {}, "m is nan at step 40"),
        (
            {"budget": {"steps": 90}},
            {"startAfter": {"step": 60}},
            "held back at step 40 by startAfter step 60",
        ),
        (
            {"nonFinite": {}},
            {"minSteps": 60},
            "m is nan at step 40 (held back at step 40 by minSteps 60)",
        ),
        (
            {"all": [{"nonFinite": {}, "startAfter": {"step": 60}}]},
            {},
            "0 of 1 say stop, 1 needed: held back at step 40 by startAfter step 60",
        ),
    ],
)
def test_a_run_of_so_many_steps_is_told_in_steps(criterion, above, reason):
    stopping = parse_stopping({"monitor": "m", "nonFinite": "Count", **above, "criteria": [criterion]})
    panel = Panel.of(stopping, Length.of(None, 500))
    (finding,) = panel.judge(panel.fold(one_epoch([0.9, 0.4, 0.6, NAN]))).findings
    assert finding.verdict.reason == reason


@pytest.mark.parametrize(
    ("above", "limit"),
    [
        ({}, 30),
        ({"startAfter": {"step": 0}}, 30),
        ({"startAfter": {"step": 5}}, None),
        ({"minSteps": 5}, None),
    ],
)
def test_between_reports_only_what_nothing_holds_back_is_enforced(panel, above, limit):
    assert panel({"budget": {"steps": 30}}, **above).limits.steps == limit


def test_the_best_is_of_the_report_it_came_with(panel):
    judged = panel()
    best = judged.judge(judged.fold(one_epoch(CURVE))).best
    assert (best.epoch, best.step, best.report) == (1, 20, 2)


def test_a_replay_of_one_epoch_saves_steps(panel):
    stop = (
        replay(panel({"plateau": {"patience": 2}}), one_epoch(CURVE), Length.of(None, 500)).criteria[0].stop
    )
    assert (stop.epoch, stop.step, stop.whole, stop.saved.steps, stop.saved.seconds) == (
        1,
        40,
        False,
        20,
        4.0,
    )
    assert (stop.saved_of_max.steps, stop.saved_of_max.baseline) == (460, "MaxSteps")


def test_of_two_stops_without_a_step_between_them_the_first_counts(panel):
    history = [
        Observation(1, 0, float(i), {"m": value}, whole=False) for i, value in enumerate([1.0, 1.0, 0.1])
    ]
    told = replay(panel({"threshold": {"value": 0.2}}, {"plateau": {"patience": 1}}), history)
    assert told.stopped_by.name == "plateau"
