"""What a training function prints, line by line on its way to the driver; Ray would only put it into a file."""

from __future__ import annotations

import io
from collections.abc import Callable


class Echo(io.TextIOBase):
    """A standard output that hands over whole lines.

    Args:
        say: takes a line without its end.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def close(self) -> None:
        """Hand over a last line that has no end."""
        if self._rest:
            self._say(self._rest)
            self._rest = ""
        super().close()
