import pytest

NAN = float("nan")


def correlation(window, **parameters):
    return {"correlation": {"window": window, "against": "t", **parameters}}


@pytest.mark.parametrize(
    ("criterion", "val", "train", "stop"),
    [
        (correlation(3), [3.0, 2.0, 1.0, 1.1, 1.2], [3.0, 2.0, 1.0, 0.9, 0.8], 5),
        (correlation(3), [3.0, 2.0, 1.0], [9.0, 8.0, 7.0], None),
        (correlation(3), [1.0, 2.0, 1.0], [1.0, 2.0, 3.0], None),
        (correlation(3, least=0.5), [1.0, 2.0, 1.0], [1.0, 2.0, 3.0], 3),
        (correlation(3), [1.0, 1.0, 1.0], [3.0, 2.0, 1.0], None),
        (correlation(3, mode="max"), [0.7, 0.6, 0.5], [0.7, 0.8, 0.9], 3),
        (
            correlation(3, nonFinite="Count"),
            [1.0, 2.0, NAN, 1.0, 2.0, 3.0],
            [3.0, 2.0, 1.0, 3.0, 2.0, 1.0],
            6,
        ),
    ],
    ids=["part", "together", "uncorrelated", "less than the least", "constant", "max", "nan begins anew"],
)
def test_it_stops_when_both_no_longer_move_together(first_stop, criterion, val, train, stop):
    assert first_stop(criterion, curves={"m": val, "t": train}) == stop


def test_the_sentence_has_the_numbers(verdict):
    curves = {"m": [1.0, 2.0, 3.0], "t": [3.0, 2.0, 1.0]}
    said = verdict(correlation(3, least=-0.5), curves=curves)
    assert said.reason == "m 3 and t 1 over 3 reports have the correlation -1, less than -0.5"
    assert verdict(correlation(3), curves={"m": [1.0] * 3, "t": [3.0, 2.0, 1.0]}).reason == (
        "m 1 and t 1 over 3 reports have no correlation: one of them is constant"
    )
    assert verdict(correlation(9), curves=curves).reason == "m 3: the window of 9 reports has 3"
