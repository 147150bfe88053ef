"""Statistics of a window against the standard library's, which computes them another way."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.stopping import windowed

VALUES = st.lists(st.integers(-1000, 1000).map(lambda n: n / 64), min_size=3, max_size=20)
PAIRS = st.lists(st.tuples(*[st.integers(-1000, 1000).map(float)] * 2), min_size=3, max_size=20)


@settings(deadline=None)
@given(VALUES)
def test_mean_slope_and_deviation_are_the_standard_librarys(values):
    assert windowed.mean(values) == pytest.approx(statistics.mean(values), abs=1e-12)
    assert windowed.deviation(values) == pytest.approx(statistics.stdev(values), abs=1e-12)
    line = statistics.linear_regression(range(len(values)), values)
    assert windowed.slope(values) == pytest.approx(line.slope, abs=1e-12)


@settings(deadline=None)
@given(PAIRS)
def test_correlation_is_the_standard_librarys_where_that_has_one(pairs):
    one, other = zip(*pairs, strict=True)
    try:
        expected = statistics.correlation(one, other)
    except statistics.StatisticsError:
        assert math.isnan(windowed.correlation(one, other))
    else:
        assert windowed.correlation(one, other) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300])
def test_a_constant_window_is_exactly_constant(value):
    values = [value] * 7
    assert (windowed.mean(values), windowed.slope(values), windowed.deviation(values)) == (value, 0, 0)


def test_values_too_large_to_add_up_are_within_no_limit():
    huge = [1.7e308, -1.7e308, 1.7e308]
    assert not windowed.deviation(huge) <= 1
    assert not windowed.correlation(huge, huge) < 1
