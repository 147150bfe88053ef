import pytest

NAN = float("nan")
FALLING, STILL = [1.0, 0.9, 0.8, 0.7], [0.5, 0.5, 0.5, 0.5]


def stops(first_stop, val, train, **parameters):
    """Strips of 2 reports, alpha 1: the first at which a percent of loss costs less than a per mille of progress."""
    criterion = {"productivityQuotient": {"alpha": 1, "stripLength": 2, "against": "t", **parameters}}
    return first_stop(criterion, curves={"m": val, "t": train})


@pytest.mark.parametrize(
    ("val", "train", "stop"),
    [
        ([1.0, 1.5, 1.5, 1.5], STILL, 2),
        ([1.0, 1.0, 1.0, 1.0], STILL, None),
        ([1.0, 1.5, 1.5, 1.5], FALLING, None),
        ([1.0, 1.5, 1.5, 1.5], [1.0, 0.9, 0.8, 0.79], 4),
        ([1.0, 1.5, 0.9, 0.9], FALLING, None),
        ([1.0, 1.0, 9.0, 1.0], STILL, None),
        ([1.0], STILL, None),
    ],
    ids=[
        "no progress",
        "nothing lost",
        "fast training",
        "slow training",
        "new best",
        "amid a strip",
        "too short",
    ],
)
def test_it_stops_at_the_end_of_a_strip_whose_loss_is_large_for_its_progress(first_stop, val, train, stop):
    assert stops(first_stop, val, train[: len(val)]) == stop


def test_for_an_accuracy_progress_is_below_the_strips_best(first_stop):
    rising = [0.5, 0.8, 0.8, 0.8]
    assert stops(first_stop, [0.9, 0.8, 0.9, 0.7], rising, mode="max") == 4
    assert stops(first_stop, [0.9, 0.89, 0.9, 0.9], rising, mode="max") is None


def test_between_the_ends_of_strips_the_last_verdict_stands(panel, stops, history):
    criterion = {"productivityQuotient": {"alpha": 1, "stripLength": 2, "against": "t"}}
    curves = {"m": [1.0, 2.0, 0.5, 0.5, 0.5], "t": [0.5] * 5}
    assert stops(panel(criterion), history(**curves)) == [2, 3]


@pytest.mark.parametrize(
    ("val", "train"), [([1.0, 1.0, 1.0, NAN], STILL), ([1.0, 1.1, 1.1, 1.1], [1.0, NAN, 9.0, NAN])]
)
def test_a_nan_counts_as_loss_or_as_no_progress(first_stop, val, train):
    assert stops(first_stop, val, train, nonFinite="Count") in (2, 4)


def test_the_sentence_has_the_numbers(verdict):
    criterion = {"productivityQuotient": {"alpha": 1, "stripLength": 2, "against": "t"}}
    said = verdict(criterion, curves={"m": [1.0, 1.1, 1.1], "t": [0.52, 0.5, 0.5]})
    assert said.reason == (
        "m 1.1: over the last whole strip of 2 reports generalization loss by training progress is 0.5, not more than 1"
    )
    assert (said.closeness, said.waiting) == (pytest.approx(0.5), "0.5/1")
    said = verdict(criterion, curves={"m": [1.0], "t": [0.5]})
    assert said.reason == "m 1: the first strip of 2 reports has 1"
