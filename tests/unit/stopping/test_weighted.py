import pytest

NAN = float("nan")


def weighted(**parameters):
    return {"weighted": {"patience": 2, "others": [{"metric": "acc", "mode": "max"}], **parameters}}


ABSOLUTE = {"minDeltaMode": "Absolute"}


@pytest.mark.parametrize(
    ("parameters", "loss", "accuracy", "stop"),
    [
        (ABSOLUTE, [1.0, 0.9, 0.8, 0.7], [0.5, 0.5, 0.5, 0.5], None),
        (ABSOLUTE, [1.0, 1.1, 1.2, 1.3], [0.5, 0.7, 0.9, 1.1], None),
        (ABSOLUTE, [1.0, 1.2, 1.4, 1.6], [0.5, 0.6, 0.7, 0.8], 3),
        (ABSOLUTE, [1.0, 0.875, 0.75], [0.5, 0.375, 0.25], 3),
        (ABSOLUTE | {"weight": 9.0}, [1.0, 0.9, 0.8], [0.5, 0.3, 0.1], None),
        (ABSOLUTE | {"minDelta": 0.1}, [1.0, 0.8, 0.6, 0.4], [0.5, 0.5, 0.5, 0.5], None),
        (ABSOLUTE | {"minDelta": 0.2}, [1.0, 0.8, 0.6], [0.5, 0.5, 0.5], 3),
        ({}, [10.0, 9.0, 8.0, 7.0], [0.5, 0.47, 0.44, 0.41], None),
        ({"minDelta": 0.1}, [1.0, 0.9, 0.8], [0.5, 0.5, 0.5], 3),
        ({}, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 3),
        ({}, [0.0, 0.0, 0.0], [0.0, 0.1, 0.2], None),
        ({"nonFinite": "Count"}, [1.0, NAN, 0.9], [0.5, 0.5, NAN], 3),
        ({"nonFinite": "Count"}, [NAN, 1.0], [0.5, NAN], 2),
    ],
    ids=[
        *("one gains", "the other gains more", "loses more", "they cancel", "a weight", "adds up", "exactly"),
        *("relative", "relative margin", "zero", "from zero", "nan", "never finite"),
    ],
)
def test_it_stops_after_reports_without_a_weighted_gain(first_stop, parameters, loss, accuracy, stop):
    assert first_stop(weighted(**parameters), curves={"m": loss, "acc": accuracy}) == stop


def test_with_fixed_weights_it_is_a_plateau_of_the_weighted_sum(first_stop):
    loss, accuracy = [1.0, 0.75, 0.875, 0.5, 0.625, 0.75, 0.5], [0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.25]
    joint = [3 * x - y for x, y in zip(loss, accuracy, strict=True)]
    criterion = weighted(weight=3.0, **ABSOLUTE)
    expected = first_stop({"plateau": {"patience": 2}}, joint)
    assert first_stop(criterion, curves={"m": loss, "acc": accuracy}) == expected == 6


def test_an_importance_that_is_reported_weighs_both_reports_that_are_compared(first_stop):
    criterion = weighted(importance="w", **ABSOLUTE)
    curves = {"m": [1.0, 0.9, 0.8, 0.7], "acc": [0.5, 0.3, 0.1, 0.0]}
    assert first_stop(criterion, curves=curves | {"w": [9.0] * 4}) is None
    assert first_stop(criterion, curves=curves | {"w": [9.0, 0.1, 0.1, 9.0]}) == 3
    assert first_stop(criterion, curves=curves | {"w": [9.0, -1.0, -1.0, 9.0]}) == 3


def test_all_weights_may_be_zero_which_is_no_gain(first_stop):
    others = [{"metric": "acc", "mode": "max", "importance": "w"}]
    criterion = weighted(importance="w", others=others)
    assert first_stop(criterion, curves={"m": [3.0, 2.0, 1.0], "acc": [1.0, 2.0, 3.0], "w": [0.0] * 3}) == 3


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(weighted(minDelta=0.01), curves={"m": [1.0, 1.1], "acc": [0.5, 0.5]})
    assert said.reason == "m 1.1, acc 0.5: no weighted gain over epoch 1 of more than 1% for 1 report"
    assert (said.metric, said.value, said.best, said.best_epoch) == ("m", 1.1, 1.0, 1)
