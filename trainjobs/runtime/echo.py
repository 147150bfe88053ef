"""What a training function prints and logs, line by line on its way to the driver; Ray would put it into a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def echoed(say: Callable[[str], None]) -> Iterator[None]:
    """Hand over each line written to standard output or standard error."""
    with ExitStack() as stack:
        for redirect in (redirect_stdout, redirect_stderr):
            echo = Echo(say)
            stack.callback(echo.close)
            stack.enter_context(redirect(echo))
        yield


class Echo(io.TextIOBase):
    """A stream that hands over whole lines, of a progress bar that overwrites its line the last state.

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
            self._say(line.rstrip("\r").rpartition("\r")[2])
        return len(text)

    def close(self) -> None:
        """Hand over a last line that has no end."""
        if self._rest:
            self._say(self._rest)
            self._rest = ""
        super().close()
