import pytest

NAN = float("nan")


def trend(window, **parameters):
    return {"trend": {"window": window, **parameters}}


@pytest.mark.parametrize(
    ("criterion", "values", "stop"),
    [
        (trend(3), [3.0, 2.0, 1.0, 0.5, 0.4], None),
        (trend(3), [0.1, 0.1, 0.1], 3),
        (trend(3), [3.0, 1.0, 0.9, 1.1], 4),
        (trend(3), [1.0, 0.0, 1.0], 3),
        (trend(4), [1.0, 5.0, 0.9, 0.8], None),
        (trend(3, minDelta=0.2), [1.0, 0.9, 0.8, 0.71], 3),
        (trend(3, minDelta=0.2), [1.0, 0.89, 0.78, 0.7], 4),
        (trend(3, minDelta=0.1, minDeltaMode="Relative"), [10.0, 9.4, 8.8, 8.5, 8.2], 4),
        (trend(3, mode="max"), [0.1, 0.2, 0.3, 0.2, 0.2], 4),
        (trend(3, nonFinite="Count"), [0.1, 0.1, NAN, 0.1, 0.1, 0.1], 6),
        (trend(3), [0.1, 0.1], None),
    ],
    ids=[
        *(
            "falls",
            "flat",
            "turns",
            "up and down",
            "an outlier",
            "exactly the margin",
            "less than the margin",
        ),
        *("relative", "max", "nan begins anew", "not full"),
    ],
)
def test_it_stops_when_the_line_gains_no_more_than_the_margin(first_stop, criterion, values, stop):
    assert first_stop(criterion, values) == stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(trend(3, minDelta=0.1), [1.0, 0.8, 0.6])
    assert said.reason == "m 0.6: the line through 3 reports gains 0.4, more than 0.1"
    assert said.closeness == pytest.approx(0.25)
    assert verdict(trend(3), [1.0, 1.0]).reason == "m 1: the window of 3 reports has 2"
