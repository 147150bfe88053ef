"""Ctrl-C and SIGTERM: the first one asks every rank to halt at one step, the second one leaves at once."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Self

import psutil

from trainjobs.cli.view import View
from trainjobs.runtime.control import Control
from trainjobs.runtime.exits import Exit

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


def leave_no_process(code: int) -> None:
    """Kills this process' descendants and ends it with `code`, without any clean-up.

    Ray's processes end when they miss their parent, but some look for it only every few minutes. The eldest go
    first, so that none is there to start another again.
    """
    for descendant in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            descendant.kill()
    os._exit(code)


class Interruption:
    """Handles the signals between `with` and its end; only in the main thread.

    Args:
        leave: ends the process and all that it started, without any clean-up.
    """

    def __init__(
        self, control: Control, view: View, leave: Callable[[int], object] = leave_no_process
    ) -> None:
        self._control = control
        self._view = view
        self._leave = leave
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._view.abandon()
            os.write(2, b"left at once; --resume goes on from the last checkpoint\n")
            self._leave(Exit.KILLED)
            return
        self._asked = True
        name = _NAMES[signal.Signals(number)]
        self._control.interrupt(f"{name} received")
        self._view.note(
            f"{name}: stopping at one step on all ranks, checkpointing; Ctrl-C again leaves at once"
        )
