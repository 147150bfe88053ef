"""Numbers as people read them."""

import pytest

from trainjobs.views.formatting import count, duration, measures, steps_of_ranks


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (4335, "1 h 12 min"),
        (86400 * 2 + 3600 * 3 + 59, "2 d 3 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (1200, "1,200 epochs")]
)
def test_a_count_agrees_with_its_noun(amount, words):
    assert count(amount, "epoch") == words


def test_a_whole_number_is_written_out_as_in_the_criterias_sentences():
    assert measures({"samples": 12_345_678}) == "samples 12345678"


def test_metrics_keep_their_order_and_their_nan():
    assert measures({"b": 0.123456789, "a": float("nan")}) == "b 0.123457 · a nan"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({0: 7}, "step 7 on the only rank"),
        ({0: 1890, 1: 1890}, "step 1,890 on all 2 ranks"),
        ({1: 8, 0: 7}, "steps differ: rank 0 at 7, rank 1 at 8"),
    ],
)
def test_ranks_that_halted_apart_are_told_apart(steps, words):
    assert steps_of_ranks(steps) == words
