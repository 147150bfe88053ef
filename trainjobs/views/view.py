"""What every way of showing a run has in common."""

import os
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self, TextIO

from trainjobs.runs.events import Event


class View(ABC):
    """Shows events, which may come from any thread, between `with view:` and its end."""

    _out: TextIO | None = None
    """Where lines go; None: standard output as it is at that moment."""

    def __enter__(self) -> Self:
        """Standard output is this view's alone: what Ray prints about itself goes to standard error."""
        self._out, sys.stdout = sys.stdout, sys.stderr
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout, self._out = self._out or sys.stdout, None

    @abstractmethod
    def __call__(self, event: Event) -> None:
        """Show an event."""

    def note(self, text: str) -> None:
        """Say something from a signal handler: straight to standard error, for the buffers may be in use."""
        with suppress(OSError):  # nobody is there to be told
            os.write(2, f"{text}\n".encode())

    def abandon(self) -> None:  # noqa: B027 - lines need no tidying
        """Leave the terminal usable; the process is about to be gone."""
