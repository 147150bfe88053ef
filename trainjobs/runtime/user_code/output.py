"""What a program writes to its standard output and error, line by line on its way to the driver; Ray would put it into
a file.

Descriptors 1 and 2 themselves are caught, so that everything that writes is heard: Python, C, subprocesses, the worker
processes of a loader, a logging handler that has held `sys.stderr` since its import. Each stream is a pipe, which one
thread of this process reads. A pipe that is full makes whoever writes wait: that is how a program that prints faster
than the driver can take it is slowed down, and nothing piles up.
"""

from __future__ import annotations

import codecs
import ctypes
import fcntl
import io
import os
import selectors
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

Say = Callable[[str], object]

STREAMS = {"stdout": 1, "stderr": 2}

LONGEST_LINE = 65_536
"""Characters after which a line is handed over in pieces: output that never ends its line is bounded too."""
PIECE_BYTES = 65_536
"""What is read at once."""
PIPE_BYTES = 1 << 20
"""What may be written while this process cannot read, because C code holds the interpreter; Linux allows no more."""
BAR_S = 0.01
"""How long to wait after output that ends no line: a progress bar wakes the reading thread no more often."""
QUIET_S = 0.2
"""At the end: how long processes that outlive the program and still hold its output may be silent."""
DRAIN_S = 2.0
"""At the end: how long such processes are listened to though they go on writing."""


@contextmanager
def captured(say: Say) -> Iterator[None]:
    """Hand over each line that this process and its children write to standard output or standard error.

    Afterwards the descriptors and `sys.stdout`, `sys.stderr` are as they were, and what was written is handed over.

    Args:
        say: takes a line without its end, in a thread of its own; while it waits, so do those who write.
    """
    pipes = {name: os.pipe() for name in STREAMS}
    reader = Reader({out: Lines(say) for out, _ in pipes.values()})
    with ExitStack() as stack:
        stack.callback(reader.finish)
        for name, (_, into) in pipes.items():
            stack.enter_context(_redirected(name, into))
        yield


@contextmanager
def _redirected(name: str, into: int) -> Iterator[None]:
    """`sys.<name>` and its descriptor lead into a pipe, whose end `into` is closed."""
    descriptor, before = STREAMS[name], getattr(sys, name)
    _flush(name)
    kept = os.dup(descriptor)
    with suppress(AttributeError, OSError):  # elsewhere than on Linux, or enough pipes are large already
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.dup2(into, descriptor)
    os.close(into)
    setattr(sys, name, _stream(name))
    try:
        yield
    finally:
        _flush(name)
        os.dup2(kept, descriptor)
        os.close(kept)
        setattr(sys, name, before)


def _stream(name: str) -> io.TextIOWrapper:
    """As Python makes its own at its start; but in UTF-8, and always with whole lines."""
    raw = io.FileIO(STREAMS[name], "w", closefd=False)
    raw.name = f"<{name}>"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


def _flush(name: str) -> None:
    """Empty the buffers of Python and of C. The program may have put anything into `sys`; Python is as lenient."""
    for stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
        with suppress(Exception):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


class Reader:
    """Reads pipes in a thread until nobody can write to them any more, or `finish` is called.

    Args:
        pipes: the descriptors to read, which are closed at the end, and who takes their bytes.
    """

    def __init__(self, pipes: Mapping[int, Lines]) -> None:
        self._selector = selectors.DefaultSelector()
        for descriptor, lines in pipes.items():
            self._selector.register(descriptor, selectors.EVENT_READ, lines)
        self._unread: Counter[int] = Counter()
        self._deadline: float | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Read what is there, and wait a little for those who still write."""
        self._ending.set()
        self._thread.join()

    def _read(self) -> None:
        while self._selector.get_map():
            ready = self._selector.select(QUIET_S)
            if self._ending.is_set() and (not ready or self._is_late()):
                break
            for key, _ in ready:
                self._take(key.fd, key.data)
        for key in list(self._selector.get_map().values()):
            self._close(key.fd, key.data)
        self._selector.close()

    def _is_late(self) -> bool:
        """Whether all that was there at the end is read, and those who go on writing have had their time."""
        if self._deadline is None:
            self._deadline = time.monotonic() + DRAIN_S
            self._unread = Counter({key.fd: _waiting(key.fd) for key in self._selector.get_map().values()})
        return time.monotonic() > self._deadline and max(self._unread.values()) <= 0

    def _take(self, descriptor: int, lines: Lines) -> None:
        data = os.read(descriptor, PIECE_BYTES)
        if not data:
            self._close(descriptor, lines)
            return
        self._unread[descriptor] -= len(data)
        lines.take(data)
        if b"\n" not in data and len(data) < PIECE_BYTES and not self._ending.is_set():
            time.sleep(BAR_S)

    def _close(self, descriptor: int, lines: Lines) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        lines.end()


def _waiting(descriptor: int) -> int:
    """Bytes in a pipe."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


class Lines:
    """Makes lines of bytes; of a progress bar that overwrites its line, the last state.

    Bytes that are no UTF-8 are replaced.

    Args:
        say: takes a line without its end.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, data: bytes) -> None:
        *lines, rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._hand_over(_last_state(line))
        self._rest = _last_state(rest) + "\r" * rest.endswith("\r")
        if len(self._rest) > LONGEST_LINE:
            self._hand_over(self._rest)
            self._rest = ""

    def end(self) -> None:
        """Hand over a last line that has no end."""
        rest = _last_state(self._rest + self._decoder.decode(b"", final=True))
        if rest.strip():  # a bar that has wiped itself out is nothing to read
            self._hand_over(rest)

    def _hand_over(self, line: str) -> None:
        for start in range(0, len(line) or 1, LONGEST_LINE):
            self._say(line[start : start + LONGEST_LINE])


def _last_state(line: str) -> str:
    """What is left to see of a line that was begun anew after each carriage return."""
    return line.rstrip("\r").rpartition("\r")[2]
