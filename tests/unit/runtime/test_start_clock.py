"""A start's stages follow each other, and its first step ends them."""

import time

import pytest

from trainjobs.runtime.loop.start_clock import StartClock


def test_stages_add_up_to_what_the_first_step_took_and_are_told_once():
    told = []
    launched = time.time() - 60
    clock = StartClock(launched, told.append)
    for stage in ("workers", "setup", "setup"):  # each epoch begins its steps
        clock.end(stage)
    clock.step_done()
    took = time.time() - launched
    clock.step_done()
    (first,) = told
    assert list(first.seconds) == ["workers", "setup", "step"]
    assert first.seconds["workers"] == pytest.approx(60, abs=1)
    assert first.total == pytest.approx(took, abs=0.01)


def test_a_clock_of_another_machine_that_is_ahead_makes_no_stage_negative():
    told = []
    clock = StartClock(time.time() + 60, told.append)
    clock.end("workers")
    clock.step_done()
    assert told[0].seconds["workers"] == 0
    assert told[0].total == pytest.approx(0, abs=1)


def test_another_rank_tells_nothing():
    StartClock(time.time(), None).step_done()
