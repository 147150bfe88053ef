"""What every way of showing a run has in common."""

import os
from abc import ABC, abstractmethod
from typing import Self

from trainjobs.runtime.events import Event


class View(ABC):
    """Shows events, which may come from any thread, between `with view:` and its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - lines need no end
        """Every line is flushed as it is written."""

    @abstractmethod
    def __call__(self, event: Event) -> None:
        """Show an event."""

    def note(self, text: str) -> None:
        """Say something from a signal handler: straight to standard error, for the buffers may be in use."""
        os.write(2, f"{text}\n".encode())

    def abandon(self) -> None:  # noqa: B027 - lines need no tidying
        """Leave the terminal usable; the process is about to be gone."""
