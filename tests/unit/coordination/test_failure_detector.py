"""Silence and what is made of it."""

import pytest

from trainjobs.coordination.failure_detector import FailureDetector

SILENCES = [
    ({1: 0.0, 2: 0.0}, 5.9, None),
    ({1: 0.0, 2: 0.0}, 6.0, 1),
    ({1: 3.0, 2: 1.0}, 7.0, 2),
    ({1: 3.0, 2: 3.5}, 8.9, None),
    ({}, 100.0, None),
]


@pytest.mark.parametrize(("heard", "now", "overdue"), SILENCES)
def test_the_rank_that_was_silent_longest_is_overdue_after_the_timeout(heard, now, overdue):
    detector = FailureDetector(heard, timeout_s=6.0, step=0, now=0.0)
    for rank, at in heard.items():
        detector.heard(rank, at)
    assert detector.overdue(now) == overdue


def test_the_last_step_is_the_one_last_told():
    detector = FailureDetector([1], timeout_s=6.0, step=3, now=0.0)
    assert detector.last_step(1) == 3
    detector.heard(1, 1.0, step=9)
    detector.heard(1, 2.0)
    assert detector.last_step(1) == 9


def test_nobody_is_overdue_right_after_this_process_was_itself_asleep():
    detector = FailureDetector([1, 2], timeout_s=6.0, step=0, now=0.0)
    detector.reset(50.0)
    assert detector.overdue(55.9) is None
    assert detector.overdue(56.0) == 1


def test_a_rank_that_has_left_is_not_missed():
    detector = FailureDetector([1], timeout_s=6.0, step=0, now=0.0)
    detector.forget(1)
    detector.heard(1, 1.0)
    assert detector.overdue(100.0) is None
