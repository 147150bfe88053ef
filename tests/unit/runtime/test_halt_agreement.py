"""Ranks agree once on where they halt; the driver is told of it once."""

import pytest

from trainjobs.api import Stopping
from trainjobs.coordination import Coordinator, Outcome, SingleCommunicator, Vote
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.contents import Position
from trainjobs.runtime.loop.halt_agreement import HaltAgreement
from trainjobs.stopping import Panel


def at(step):
    return Position(1, step, step, reported=False, seconds=0.0)


@pytest.fixture
def coordinator():
    with Coordinator(SingleCommunicator(), Panel.of(Stopping())) as coordinator:
        yield coordinator


def halts_of(coordinator, told):
    return HaltAgreement(coordinator, told.append)


def vote(coordinator, outcome):
    coordinator.vote(Vote(0, outcome, "asked to"))
    coordinator.exchange(b"")


def test_without_a_decision_nobody_halts(coordinator):
    told = []
    halts = halts_of(coordinator, told)
    assert not halts.agree_on_halt(at(3))
    assert (halts.halted, told) == (False, [])


@pytest.mark.parametrize(
    ("outcome", "interrupted"), [(Outcome.INTERRUPTED, True), (Outcome.STOP_REQUESTED, False)]
)
def test_a_decision_halts_once_and_only_an_interruption_is_to_go_on(coordinator, outcome, interrupted):
    told = []
    halts = halts_of(coordinator, told)
    vote(coordinator, outcome)
    assert halts.agree_on_halt(at(3))
    assert halts.agree_on_halt(at(4))
    assert halts.unwinds is interrupted
    assert [type(event) for event in told] == [events.Decided, events.Halted]


def test_a_run_that_has_come_to_its_end_halts_without_a_decision(coordinator):
    told = []
    halts = halts_of(coordinator, told)
    halts.conclude(at(5))
    assert (halts.halted, halts.unwinds) == (True, False)
    assert [type(event) for event in told] == [events.Halted]
