"""Ctrl-C, SIGTERM, and SIGHUP, which a terminal sends when it is closed, in a program that is not ours.

The first one asks for a halt at one step, with a checkpoint; the second Ctrl-C raises KeyboardInterrupt, as Python
does. Ctrl-C is for the call, which returns; the other two are for the whole process: it gets them again after the call.
"""

import os
import signal
import sys
import threading
from bdb import Bdb
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Self, TypeAlias

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
HALTING = "halting at one step with a checkpoint; Ctrl-C again leaves at once"


Handlers: TypeAlias = dict[signal.Signals, Any]


def take_over(handle: Callable[[int, FrameType | None], object]) -> Handlers:
    """Handle the signals, but not SIGHUP under `nohup`; returns what handled them before."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in SIGNALS if not (nohup and number is signal.SIGHUP)]
    return {number: signal.signal(number, handle) for number in heard}


def give_back(before: Handlers) -> None:
    """Have the signals handled as before."""
    for number, handler in before.items():
        signal.signal(number, handler)


class Halting:
    """Handles the signals between `with` and its end. Python delivers none to another thread than the main one: there
    a run is stopped by `trainjobs stop` or by an edit of its manifest.

    Args:
        halt: asks for the halt, with the reason; must not block.
    """

    def __init__(self, halt: Callable[[str], None]) -> None:
        self._halt = halt
        self._process = os.getpid()
        self._asked: list[signal.Signals] = []
        self._before: Handlers = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = take_over(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        give_back(self._before)
        for number in dict.fromkeys(self._asked):
            if number is not signal.SIGINT:
                signal.raise_signal(number)
        if len(self._asked) > 1:  # where the training function is in this process it may have caught it
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if os.getpid() != self._process:
            _of_a_fork(received)
            return
        if received is signal.SIGINT and at_prompt(frame):
            raise KeyboardInterrupt
        if self._asked and received is not signal.SIGINT:
            return
        self._asked.append(received)
        if len(self._asked) > 1:
            raise KeyboardInterrupt
        self._halt(f"{NAMES[received]} received")
        with suppress(OSError, RuntimeError):  # nobody reads it, or it comes amid another line
            print(f"{NAMES[received]}: {HALTING}", file=sys.stderr, flush=True)  # noqa: T201


def _of_a_fork(received: signal.Signals) -> None:
    """In a forked process, such as a loader's: a terminal sends it Ctrl-C too, and the run needs it to its halt."""
    if received is not signal.SIGINT:
        signal.signal(received, signal.SIG_DFL)
        signal.raise_signal(received)


def at_prompt(frame: FrameType | None) -> bool:
    """Whether a debugger is asking for commands: pdb, or one that is made from it."""
    while frame is not None:
        if frame.f_code.co_name == "interaction" and isinstance(frame.f_locals.get("self"), Bdb):
            return True
        frame = frame.f_back
    return False
