"""Axes: any numbers have one, with few round ticks on it."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainjobs.views.page.scale import Scale, aligned


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 1], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.42, 0.97], ["0.4", "0.6", "0.8"]),
        ([-3, 3], ["\N{MINUS SIGN}2", "0", "2"]),
        ([1000, 64000], ["1,000", "3,000", "10,000", "30,000"]),
        ([0.07, 2.3], ["0.1", "0.3", "1"]),
        ([0.00002, 9], ["0.0001", "0.01", "1"]),
        ([5, 5], ["4.8", "4.9", "5.0", "5.1", "5.2"]),
        ([], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([math.nan, math.inf, 2, 4], ["2.0", "2.5", "3.0", "3.5", "4.0"]),
    ],
)
def test_ticks_are_few_round_numbers(values, ticks):
    assert [label for _, label in Scale.of(values).ticks()] == ticks


@pytest.mark.parametrize(
    ("values", "log"), [([0.1, 1.9], False), ([0.1, 2.1], True), ([0, 2.1], False), ([-1, 100], False)]
)
def test_only_positive_values_of_many_sizes_make_a_logarithmic_axis(values, log):
    assert Scale.of(values).log is log


@given(st.lists(st.floats(), max_size=6), st.sampled_from([None, True, False]))
@example([5e-324], True)
@example([5e-324, 1.7e308], None)
@example([-1.7e308, 1.7e308], None)
@example([1e-300, 2e-300], False)
def test_every_finite_value_lies_on_its_axis_and_so_do_the_ticks(values, log):
    scale = Scale.of(values, log=log)
    shares = [scale.share(value) for value in values if math.isfinite(value)]
    ticks = scale.ticks()
    assert all(0 <= share <= 1 for share in [*shares, *(scale.share(at) for at, _ in ticks)])
    assert len(ticks) <= 7
    assert [at for at, _ in ticks] == sorted({at for at, _ in ticks})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.4, 0.3975], ["0.4000", "0.3975"]),
        ([3.0, 10.0], ["3", "10"]),
        ([0.0639931, 2.09578], ["0.063993", "2.095780"]),
        ([0.000639931, 2.09578], ["0.000639931", "2.095780000"]),
        ([1e-7, 0.5], ["1e-07", "0.5"]),
        ([0.25, math.nan, math.inf], ["0.25", "nan", "inf"]),
    ],
)
def test_a_column_has_one_number_of_decimals_unless_that_hides_something(values, words):
    assert aligned(values) == words
