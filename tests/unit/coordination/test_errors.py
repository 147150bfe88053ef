"""Errors that every rank raises alike, and their words."""

import pytest

from trainjobs.coordination import errors
from trainjobs.coordination.errors import (
    EpochMismatch,
    ExchangeMismatch,
    MetricMismatch,
    RankLost,
    RulingFailed,
    WeightlessMetric,
)
from trainjobs.stopping.observation import MissingMetric

PUBLISHED = [
    EpochMismatch([1, 2]),
    MetricMismatch("loss", [0, 2], [1]),
    WeightlessMetric("loss"),
    MissingMetric("spec.stopping.criteria[0].plateau", "loss", ("los",), "epoch 3"),
    RulingFailed("ValueError", "no"),
]


@pytest.mark.parametrize("error", PUBLISHED, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_the_other_ranks(error):
    there = errors.from_dict(errors.to_dict(error))
    assert (type(there), str(there)) == (type(error), str(error))


def test_an_error_of_another_kind_is_passed_on_in_words():
    there = errors.from_dict(errors.to_dict(ZeroDivisionError("division by zero")))
    assert str(there) == "rank 0 could not rule on the report: ZeroDivisionError: division by zero"


WORDS = [
    (
        RankLost(3, 120, 60.0),
        "rank 3 has not been heard of for 60 s (last at step 120): "
        "its process is gone, stopped, or cut off from rank 0",
    ),
    (
        RankLost(3, 120, 60.0, left=True),
        "rank 3 left at step 120, before the run was over: see its own error",
    ),
    (
        MetricMismatch("loss", [0, 2], [1]),
        "metric 'loss' is reported by ranks 0, 2 but not by 1: "
        "report the same metrics on every rank; a rank with no data reports (0.0, 0)",
    ),
    (
        ExchangeMismatch(["report", "align"]),
        "report() was called on rank 0 only, but every rank must report at the same place: "
        "ranks meet in different calls: rank 0 in report(), rank 1 in align(); "
        "every rank must make the same calls in the same order",
    ),
    (
        ExchangeMismatch(["exchange", "align"]),
        "ranks meet in different calls: rank 0 in exchange(), rank 1 in align(); "
        "every rank must make the same calls in the same order",
    ),
    (
        ExchangeMismatch(["exchange", "halt", "halt"]),
        "the training function has returned on ranks 1, 2 while others go on, but every rank must return "
        "at the same place: ranks meet in different calls: rank 0 in exchange(), rank 1 in halt(), "
        "rank 2 in halt(); every rank must make the same calls in the same order",
    ),
]


@pytest.mark.parametrize(("error", "words"), WORDS, ids=lambda value: type(value).__name__)
def test_an_error_says_who_and_what_and_what_to_do(error, words):
    assert str(error) == words
