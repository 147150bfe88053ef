"""Ctrl-C: before training it leaves, once asks for a checkpoint, twice leaves."""

import multiprocessing
import os
import signal

import pytest

from trainjobs.cli.signals import Interruption
from trainjobs.coordination import Decision, Outcome, Vote
from trainjobs.runs.events import Checkpointed, Decided, Halted, Restarting, Started, Starting
from trainjobs.runs.requests import Control, interrupt_request
from trainjobs.views.plain import Plain

DECISION = Decision.of_vote(Vote(0, Outcome.STOP_REQUESTED, "enough"), 5, 1.0)
STARTING = [Starting(1, 1)]
TRAINING = [*STARTING, Started(1, 1, "cpu", None, 0, 3)]
KEPT = [*TRAINING, Checkpointed("here", 1, 5, 0.1)]
ASKED = "stopping at one step on all ranks, checkpointing; Ctrl-C again leaves at once"
NOTHING_KEPT = "left before the workers had started; there is no checkpoint yet"


class Departure:
    """Stays, and remembers how it was to leave."""

    def __init__(self):
        self.kept, self.left = [], []

    def interrupted(self, reason):
        self.kept.append(reason)

    def leave(self, code):
        self.left.append(code)


@pytest.fixture
def terminal():
    """SIGHUP as a terminal's program has it, also in tests that were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def interrupted(capfd, terminal):
    """What the signals did after the events: requests, how the process left, and the last line on standard error."""

    def after(events, *numbers, resumable=False):
        control, departure = Control(), Departure()
        with Interruption(control, Plain(), departure, resumable=resumable) as interruption:
            for event in events:
                interruption.follow(event)
            for number in numbers:
                os.kill(os.getpid(), number)
                while (line := capfd.readouterr().err) == "":
                    pass
        return control.take(), departure, line.rstrip("\n")

    return after


@pytest.fixture
def unheard(monkeypatch):
    """Standard error is a terminal that is gone."""

    def gone(descriptor, text):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", gone)


def test_a_signal_is_heard_when_nobody_can_be_told(unheard):
    control, departure = Control(), Departure()
    with Interruption(control, Plain(), departure, resumable=False) as interruption:
        for event in KEPT:
            interruption.follow(event)
        signal.raise_signal(signal.SIGTERM)
        assert control.take().outcome is Outcome.INTERRUPTED
        assert departure.left == []
        signal.raise_signal(signal.SIGTERM)
    assert departure.left == [130]


def test_a_terminal_that_is_closed_asks_once_however_often_it_says_so(unheard):
    control, departure = Control(), Departure()
    with Interruption(control, Plain(), departure, resumable=False) as interruption:
        for event in KEPT:
            interruption.follow(event)
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
    assert control.take().outcome is Outcome.INTERRUPTED
    assert (control.take(), departure.left) == (None, [])


def test_nohup_is_left_as_it_is():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption(Control(), Plain(), Departure(), resumable=False):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")],
)
@pytest.mark.parametrize(
    ("events", "resumable", "asked", "left", "said"),
    [
        ([], False, False, [75], NOTHING_KEPT),
        (STARTING, False, False, [75], NOTHING_KEPT),
        (
            STARTING,
            True,
            False,
            [75],
            "left before the workers had started; --resume goes on from the last checkpoint",
        ),
        (TRAINING, False, True, [], ASKED),
        ([*TRAINING, Restarting(2, "lost", 0)], False, False, [75], NOTHING_KEPT),
        ([*TRAINING, Restarting(2, "lost", 0), *TRAINING], False, True, [], ASKED),
        (
            [*TRAINING, Decided(DECISION)],
            False,
            False,
            [],
            "the run is ending already; Ctrl-C again leaves at once",
        ),
        (
            [*TRAINING, Halted(None, {0: 9}, 0)],
            False,
            False,
            [],
            "the run is ending already; Ctrl-C again leaves at once",
        ),
    ],
)
def test_the_first_signal_asks_only_where_something_is_under_way(
    interrupted, number, name, events, resumable, asked, left, said
):
    request, departure, line = interrupted(events, number, resumable=resumable)
    assert request == (interrupt_request(f"{name} received") if asked else None)
    assert departure.left == left
    assert departure.kept == ([f"{name} while the workers were starting"] if left else [])
    assert line == f"{name}: {said}"


@pytest.mark.parametrize(
    ("events", "resumable", "promise"),
    [
        (TRAINING, False, "there is no checkpoint yet"),
        (TRAINING, True, "--resume goes on from the last checkpoint"),
        (KEPT, False, "--resume goes on from the last checkpoint"),
    ],
)
def test_the_second_signal_leaves_at_once_and_promises_what_is_there(interrupted, events, resumable, promise):
    request, departure, line = interrupted(events, signal.SIGTERM, signal.SIGINT, resumable=resumable)
    assert request == interrupt_request("SIGTERM received")
    assert (departure.left, departure.kept) == ([130], [])
    assert line == f"left at once; {promise}"


class Eager(Plain):
    """Whoever reads it sends the second signal while the first is still being handled."""

    def note(self, text):
        signal.raise_signal(signal.SIGINT)


def test_a_second_signal_amid_the_words_about_the_first_leaves_at_once(terminal):
    departure = Departure()
    with Interruption(Control(), Eager(), departure, resumable=False) as interruption:
        for event in TRAINING:
            interruption.follow(event)
        signal.raise_signal(signal.SIGINT)
    assert departure.left == [130]


def test_afterwards_signals_are_the_systems_again():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(Control(), Plain(), Departure(), resumable=False):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_forked_process_outlives_ctrl_c_and_ends_when_it_is_terminated():
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with Interruption(Control(), Plain(), Departure(), resumable=False):
        child = context.Process(target=answering, args=(theirs,), daemon=True)
        child.start()
        for number in (None, signal.SIGINT):
            if number:
                os.kill(child.pid, number)
            ours.send("there?")
            assert ours.poll(10)
            ours.recv()
        child.terminate()
        child.join(10)
    ended = child.exitcode
    child.kill()
    assert ended == -signal.SIGTERM


def answering(pipe):
    while True:
        pipe.send(pipe.recv())
