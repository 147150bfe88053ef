import pytest

NAN, INF = float("nan"), float("inf")


def plateau(patience, **parameters):
    return {"plateau": {"patience": patience, **parameters}}


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ([0.9, 0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05], None),
        ([0.9, 0.5, 0.4, 0.41, 0.42, 0.41, 0.3, 0.2], 6),
        ([0.9, 0.5, 0.6, 0.4, 0.5, 0.6, 0.39, 0.5, 0.6, 0.38], None),
    ],
    ids=["steady improvement", "early plateau", "oscillation"],
)
def test_at_patience_3_these_curves_stop_here(first_stop, values, stop):
    assert first_stop(plateau(3), values) == stop


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        (plateau(1), [1, 1], 2),
        (plateau(1), [1, 0.9, 0.8], None),
        (plateau(2), [1, 1, 1], 3),
        (plateau(2), [1, 2, 0.9, 2, 0.8, 2, 2], 7),
        (plateau(2), [1, 1, 0.9, 1, 1], 5),
        (plateau(3, mode="max"), [0.1, 0.3, 0.3, 0.2, 0.29], 5),
    ],
    ids=["equal", "gains", "flat", "reset", "equal then reset", "max"],
)
def test_patience_counts_reports_since_the_last_improvement(first_stop, parameters, values, stop):
    assert first_stop(parameters, values) == stop


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        (plateau(2, minDelta=0.015), [1, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94], None),
        (plateau(2, minDelta=0.02), [1, 0.99, 0.98, 0.97], 3),
        (plateau(3, minDelta=0.02), [1, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94], None),
        (plateau(1, minDelta=0.01), [1, 0.99], 2),
        (plateau(1, minDelta=0.1, minDeltaMode="Relative"), [100, 89, 81], 3),
        (plateau(1, minDelta=0.1, minDeltaMode="Relative"), [-100, -111, -123], None),
        (plateau(1, minDelta=0.1, minDeltaMode="Relative"), [-100, -105], 2),
    ],
    ids=["adds up", "exactly 2 gains", "adds up in 3", "exactly", "relative", "negative", "negative small"],
)
def test_gains_add_up_until_they_exceed_min_delta(first_stop, parameters, values, stop):
    assert first_stop(parameters, values) == stop


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ([0.9, 0.8, 0.7], 3),
        ([0.9, 0.4, 0.45, 0.46, 0.47], 5),
        ([0.9, 0.8, 0.4], None),
        ([0.5, 0.5, 0.5], 3),
    ],
    ids=["never beaten", "beaten, then flat", "just in time", "equal is not beaten"],
)
def test_until_the_baseline_is_beaten_gains_do_not_reset(first_stop, values, stop):
    assert first_stop(plateau(3, baseline=0.5), values) == stop


@pytest.mark.parametrize(
    ("policy", "values", "stop"),
    [
        ("Stop", [1, NAN, 0.5], 2),
        ("Count", [1, NAN, 0.5, INF, 0.6], 5),
        ("Count", [NAN, NAN], 2),
        ("Count", [1, -INF, 2], 3),
        ("Ignore", [1, NAN, NAN, NAN, 2, NAN, 2], 7),
    ],
)
def test_nan_is_no_improvement_and_never_best(first_stop, policy, values, stop):
    assert first_stop(plateau(2, nonFinite=policy), values) == stop


@pytest.mark.parametrize(
    ("parameters", "values", "sentence"),
    [
        (
            plateau(5, minDelta=0.001),
            [0.5, 0.398, 0.412],
            "m 0.412 has not improved on 0.398 (epoch 2) by more than 0.001 for 1 report",
        ),
        (plateau(2), [0.4, 0.4, 0.4], "m 0.4 has not improved on 0.4 (epoch 1) for 2 reports"),
        (
            plateau(2, minDelta=0.01, minDeltaMode="Relative"),
            [0.4, 0.4],
            "m 0.4 has not improved on 0.4 (epoch 1) by more than 1% for 1 report",
        ),
        (plateau(2), [0.4, 0.3], "m 0.3 is an improvement at epoch 2"),
        (plateau(3, baseline=0.2), [0.4, 0.3], "m 0.3 has not improved on the baseline 0.2 for 2 reports"),
        (plateau(3, nonFinite="Count"), [NAN, NAN], "m has had no finite value for 2 reports"),
        (plateau(3, nonFinite="Count"), [1.0, NAN], "m nan has not improved on 1 (epoch 1) for 1 report"),
        (
            plateau(3, smoothing={"mean": {"window": 3}}),
            [0.4, 0.41, 0.42],
            "m (mean of 3) 0.41 has not improved on 0.4 (epoch 1) for 2 reports",
        ),
    ],
)
def test_the_sentence_has_the_numbers(verdict, parameters, values, sentence):
    assert verdict(parameters, values).reason == sentence


def test_the_verdict_says_how_long_it_has_waited(verdict):
    said = verdict(plateau(5), [0.5, 0.4, 0.45, 0.46, 0.47])
    assert (said.stop, said.waiting, said.closeness) == (False, "3/5", 0.6)
    assert (said.metric, said.value, said.best, said.best_epoch) == ("m", 0.47, 0.4, 2)


def test_smoothing_is_what_is_judged(first_stop):
    spiky = [4, 2, 3, 1, 2, 0]
    assert first_stop(plateau(1), spiky) == 3
    assert first_stop(plateau(1), spiky, smoothing={"mean": {"window": 2}}) is None
