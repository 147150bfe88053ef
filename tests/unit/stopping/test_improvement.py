import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api.stopping import MinDeltaMode, Mode
from trainjobs.stopping.improvement import Improvement, Margin, Order

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "best", "min_delta", "counts"),
    [
        (0.397, 0.398, 0.0, True),
        (0.398, 0.398, 0.0, False),
        (0.399, 0.398, 0.0, False),
        (math.nextafter(0.398, 0), 0.398, 0.0, True),
        (0.397, 0.398, 0.001, False),
        (0.3969, 0.398, 0.001, True),
        (0.2, 0.3, 0.1, False),
        (0.7, 0.8, 0.1, False),
        (-1.0, 0.0, 1.0, False),
        (-1.01, 0.0, 1.0, True),
        (0.0, -0.0, 0.0, False),
        (math.nan, 0.398, 0.0, False),
        (-math.inf, 0.398, 0.0, False),
        (math.inf, 0.398, 0.0, False),
        (0.5, None, 0.1, True),
        (math.nan, None, 0.0, False),
        (-math.inf, None, 0.0, False),
    ],
)
def test_an_improvement_is_better_by_more_than_min_delta(value, best, min_delta, counts):
    assert Improvement.of(Mode.MIN, min_delta, MinDeltaMode.ABSOLUTE).counts(value, best) is counts


@pytest.mark.parametrize(
    ("mode", "value", "best", "min_delta", "counts"),
    [
        (Mode.MIN, 89.0, 100.0, 0.1, True),
        (Mode.MIN, 90.0, 100.0, 0.1, False),
        (Mode.MIN, -110.0, -100.0, 0.1, False),
        (Mode.MIN, -111.0, -100.0, 0.1, True),
        (Mode.MIN, -99.0, -100.0, 0.1, False),
        (Mode.MAX, -89.0, -100.0, 0.1, True),
        (Mode.MAX, -90.0, -100.0, 0.1, False),
        (Mode.MAX, -101.0, -100.0, 0.1, False),
        (Mode.MIN, -1e-300, 0.0, 0.1, True),
        (Mode.MIN, 0.0, 0.0, 0.1, False),
    ],
)
def test_a_relative_delta_is_a_fraction_of_the_magnitude_of_best(mode, value, best, min_delta, counts):
    assert Improvement.of(mode, min_delta, MinDeltaMode.RELATIVE).counts(value, best) is counts


@given(value=finite, reference=finite, size=st.floats(0, 1e308), relative=st.booleans())
@settings(max_examples=150)
def test_a_flipped_sign_and_mode_change_nothing(value, reference, size, relative):
    margin = Margin(size, relative)
    falling, rising = Order(Mode.MIN), Order(Mode.MAX)
    assert falling.better(value, reference, margin) == rising.better(-value, -reference, margin)
    assert falling.worse(value, reference, margin) == rising.worse(-value, -reference, margin)


@given(value=finite, reference=finite)
@settings(max_examples=150)
def test_every_pair_of_finite_values_is_better_worse_or_equal(value, reference):
    order = Order(Mode.MIN)
    assert [order.better(value, reference), order.worse(value, reference), value == reference].count(
        True
    ) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_value_that_is_not_finite_is_worse_and_never_better(mode, value):
    assert (Order(mode).better(value, 0.0), Order(mode).worse(value, 0.0)) == (False, True)


@pytest.mark.parametrize(
    ("start", "value", "goal", "covered"),
    [
        (1.0, 0.5, 0.0, 0.5),
        (1.0, 2.0, 0.0, 0.0),
        (1.0, -1.0, 0.0, 1.0),
        (0.0, 5.0, 0.0, 0.0),
        (5e-324, 0.0, 0.0, 1.0),
    ],
)
def test_the_covered_part_of_a_way_is_between_0_and_1(start, value, goal, covered):
    assert Order(Mode.MIN).covered(start, value, goal) == covered


@settings(max_examples=500)
@given(
    value=finite | st.integers(-400, 400).map(lambda n: n / 1000),
    reference=finite | st.integers(-400, 400).map(lambda n: n / 1000),
    size=st.floats(0, 1e308) | st.integers(0, 400).map(lambda n: n / 1000),
    relative=st.booleans(),
    mode=st.sampled_from(Mode),
)
def test_floats_decide_only_what_decimals_would_decide_alike(value, reference, size, relative, mode):
    order, margin = Order(mode), Margin(size, relative)
    gain = order._gain(value, reference)
    assert order.better(value, reference, margin) == (gain > margin.of(reference))
    assert order.worse(value, reference, margin) == (order._gain(reference, value) > margin.of(reference))
