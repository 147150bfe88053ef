import pytest

NAN = float("nan")


def deviation(window, limit, **parameters):
    return {"standardDeviation": {"window": window, "limit": limit, **parameters}}


@pytest.mark.parametrize(
    ("criterion", "values", "stop"),
    [
        (deviation(3, 0), [0.1, 0.1, 0.1], 3),
        (deviation(3, 0), [0.1, 0.1, 0.1000001, 0.1, 0.1, 0.1], 6),
        (deviation(3, 1), [1.0, 2.0, 3.0], 3),
        (deviation(3, 0.99), [1.0, 2.0, 3.0, 3.0], 4),
        (deviation(2, 1), [0.0, 1.0], 2),
        (deviation(2, 0.7), [0.0, 1.0], None),
        (deviation(2, 0.1, nonFinite="Count"), [1.0, NAN, 1.0, 1.0], 4),
    ],
    ids=[
        "constant",
        "not quite",
        "equal to the limit",
        "more",
        "of a sample",
        "of no population",
        "nan begins anew",
    ],
)
def test_it_stops_when_the_window_scatters_no_more_than_the_limit(first_stop, criterion, values, stop):
    assert first_stop(criterion, values) == stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(deviation(3, 0.5), [1.0, 2.0, 3.0])
    assert said.reason == "m 3: 3 reports have the standard deviation 1, more than 0.5"
    assert said.closeness == pytest.approx(0.5)
    assert verdict(deviation(3, 0.5), [1.0]).reason == "m 1: the window of 3 reports has 1"
