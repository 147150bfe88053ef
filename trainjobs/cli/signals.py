"""Ctrl-C, SIGTERM, and SIGHUP, which a terminal sends when it is closed.

While it trains, the first one asks every rank to halt at one step. Before that nothing can be lost, so it leaves at
once. The second one always leaves at once, but for SIGHUP, which several may send for one closing. Ctrl-C at a
debugger's prompt is the debugger's.
"""

import os
import signal
from contextlib import suppress
from enum import Enum, auto
from types import FrameType
from typing import Protocol, Self

from trainjobs.exits import Exit
from trainjobs.local.signals import NAMES, Handlers, at_prompt, give_back, take_over
from trainjobs.runs.events import Checkpointed, Decided, Event, Halted, Restarting, Started
from trainjobs.runs.requests import Control
from trainjobs.views.view import View


class _Phase(Enum):
    STARTING = auto()
    """No worker has trained since the last checkpoint, if there is one."""
    TRAINING = auto()
    ENDING = auto()
    """The end is decided, or every epoch is trained."""


class Leaving(Protocol):
    """How the process ends without any clean-up."""

    def interrupted(self, reason: str) -> None:
        """Keep that the run was interrupted before it trained."""

    def leave(self, code: int) -> object:
        """End this process and all that it started."""


class Interruption:
    """Handles the signals between `with` and its end; only in the main thread. `follow` has to see every event.

    Args:
        control: takes the request to halt.
        view: tells what the signal did.
        leaving: ends the process.
        resumable: whether there is a checkpoint already.
    """

    def __init__(self, control: Control, view: View, leaving: Leaving, *, resumable: bool) -> None:
        self._control = control
        self._view = view
        self._leaving = leaving
        self._phase = _Phase.STARTING
        self._resumable = resumable
        self._asked = False
        self._before: Handlers = {}

    def __enter__(self) -> Self:
        self._before = take_over(self._handle)
        os.register_at_fork(after_in_child=self._leave_to_parent)
        return self

    def __exit__(self, *_: object) -> None:
        give_back(self._before)
        self._before = {}

    def _leave_to_parent(self) -> None:
        """In a forked process, such as a loader's: a terminal sends it Ctrl-C too, and the run needs it to its halt."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN if number is signal.SIGINT else signal.SIG_DFL)

    def follow(self, event: Event) -> None:
        """Learn how far the run is."""
        match event:
            case Started():
                self._phase = _Phase.TRAINING
            case Restarting():
                self._phase = _Phase.STARTING
            case Decided() | Halted():
                self._phase = _Phase.ENDING
            case Checkpointed():
                self._resumable = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and at_prompt(frame):
            raise KeyboardInterrupt
        name = NAMES[signal.Signals(number)]
        again, self._asked = (
            self._asked,
            True,
        )  # before anything is told: who has read it may send the second one
        if again and number == signal.SIGHUP:
            return
        if again:
            self._leave(f"left at once; {self._promise()}", Exit.KILLED)
        elif self._phase is _Phase.STARTING:
            self._leaving.interrupted(f"{name} while the workers were starting")
            self._leave(f"{name}: left before the workers had started; {self._promise()}", Exit.INTERRUPTED)
        elif self._phase is _Phase.ENDING:
            self._view.note(f"{name}: the run is ending already; Ctrl-C again leaves at once")
        else:
            self._control.interrupt(f"{name} received")
            self._view.note(
                f"{name}: stopping at one step on all ranks, checkpointing; Ctrl-C again leaves at once"
            )

    def _leave(self, last_words: str, code: Exit) -> None:
        self._view.abandon()
        with suppress(OSError):  # nobody is there to be told
            os.write(2, f"{last_words}\n".encode())
        self._leaving.leave(code)

    def _promise(self) -> str:
        return (
            "--resume goes on from the last checkpoint" if self._resumable else "there is no checkpoint yet"
        )
