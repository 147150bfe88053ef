import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api.stopping import Smoothing
from trainjobs.stopping.smoothing import smoother


def smoothed(smoothing, values):
    each = smoother(Smoothing.model_validate(smoothing) if smoothing else None)
    state, out = each.start(), []
    for value in values:
        state = each.update(state, value)
        out.append(each.value(state))
    return out


@pytest.mark.parametrize(
    ("smoothing", "values", "expected"),
    [
        (None, [3, 1, 2], [3, 1, 2]),
        ({"mean": {"window": 3}}, [3, 1, 2, 6, -2], [3, 2, 2, 3, 2]),
        ({"mean": {"window": 1}}, [3, 1, 2], [3, 1, 2]),
        ({"median": {"window": 3}}, [3, 1, 2, 9, 9], [3, 2, 2, 2, 9]),
        ({"ema": {"alpha": 1}}, [3, 1, 2], [3, 1, 2]),
        ({"ema": {"alpha": 0.5}}, [4, 1, 0], [4, 2, 6 / 7]),
    ],
)
def test_smoothed_values_are_these(smoothing, values, expected):
    assert smoothed(smoothing, values) == pytest.approx(expected)


KINDS = [{"mean": {"window": 7}}, {"median": {"window": 4}}, {"ema": {"alpha": 0.3}}]


@pytest.mark.parametrize("smoothing", KINDS)
@given(value=st.floats(-1e300, 1e300), count=st.integers(1, 20))
@settings(max_examples=40)
def test_a_constant_curve_stays_exactly_constant(smoothing, value, count):
    assert smoothed(smoothing, [value] * count) == [value] * count


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_the_moving_average_weighs_each_value_by_its_age(alpha):
    values = [5.0, 1.0, 4.0, 2.0]
    weights = [(1 - alpha) ** age for age in (3, 2, 1, 0)]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert smoothed({"ema": {"alpha": alpha}}, values)[-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("smoothing", "label"),
    [
        (None, ""),
        ({"mean": {"window": 3}}, "mean of 3"),
        ({"median": {"window": 5}}, "median of 5"),
        ({"ema": {"alpha": 0.3}}, "ema 0.3"),
        ({"mean": {"window": 1}}, ""),
        ({"ema": {"alpha": 1.0}}, ""),
    ],
)
def test_the_label_names_what_changes_the_values(smoothing, label):
    assert smoother(Smoothing.model_validate(smoothing) if smoothing else None).label == label
