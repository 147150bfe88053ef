import math

import pytest

from trainjobs.views.page.thinning import thinned


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_few_values_are_all_kept(count):
    assert thinned([0.0] * count, 100) == list(range(count))


def test_of_many_the_ends_the_extremes_and_the_gaps_are_kept():
    values = [math.sin(i / 50) for i in range(100_000)]
    values[4_321], values[77_777], values[500] = 9.0, -9.0, math.nan
    kept = thinned(values, 1000)
    assert len(kept) <= 1000
    assert kept == sorted(set(kept))
    assert {0, 500, 4_321, 77_777, 99_999} <= set(kept)


def test_values_that_are_all_nan_are_thinned_too():
    assert len(thinned([math.nan] * 10_000, 100)) <= 100
