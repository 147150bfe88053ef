import pytest

NAN = float("nan")


def increase(strips, length=2, **parameters):
    return {"generalizationIncrease": {"strips": strips, "stripLength": length, **parameters}}


@pytest.mark.parametrize(
    ("criterion", "values", "stop"),
    [
        (increase(1), [1.0, 0.5, 0.5, 0.6], 4),
        (increase(1), [1.0, 0.5, 0.5, 0.5], None),
        (increase(1), [9.0, 0.5, 9.0, 0.4], None),
        (increase(2), [1.0, 0.5, 1.0, 0.6, 0.1, 0.7], 6),
        (increase(2), [1.0, 0.5, 1.0, 0.6, 1.0, 0.5, 1.0, 0.6], None),
        (increase(1, 3), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0], 6),
        (increase(1, mode="max"), [0.0, 0.5, 0.0, 0.4], 4),
        (increase(2, nonFinite="Count"), [1.0, 0.5, 1.0, NAN, 1.0, 0.6], 6),
        (increase(1, nonFinite="Count"), [1.0, 0.5, NAN, 0.4], None),
        (increase(1, nonFinite="Count"), [1.0, NAN], 2),
    ],
    ids=[
        *("once", "equal", "between ends", "twice", "in a row", "length 3", "max", "nan at the end"),
        *("nan amid a strip", "nan at the first end"),
    ],
)
def test_it_stops_when_successive_strips_end_worse(first_stop, criterion, values, stop):
    assert first_stop(criterion, values) == stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(increase(2), [1.0, 0.5, 1.0, 0.6, 0.3])
    assert (
        said.reason
        == "m 0.3: 1 strip of 2 reports in a row ended worse than the one before; the last ended at 0.6"
    )
    assert (said.waiting, said.closeness) == ("1/2", 0.5)
    assert verdict(increase(2), [1.0]).reason.endswith(
        "0 strips of 2 reports in a row ended worse than the one before; none has ended"
    )
