"""A file lock between processes: one run directory, one run at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from trainjobs.exits import CannotCreate, DataError, user_error
from trainjobs.runs.regular import opened, require

_LONGEST_ID = 20
PROBE_SECONDS = 0.2
"""How long `hold` bears by itself with a lock that is only being looked at by `holder`."""


@dataclass(frozen=True, slots=True)
class Lock:
    """An `flock` on the file at `path`, which holds the process id of the last holder.

    The kernel gives the lock back when the holder ends, however it ends, so none is ever stale.
    """

    path: Path

    @contextmanager
    def hold(self, patience_s: float = PROBE_SECONDS) -> Iterator[None]:
        """Hold the lock. Raises CannotCreate naming the process that has it, and does not let it go in time."""
        with self._opened() as file:
            require(file.fileno(), self.path)
            if not _taken_within(file, patience_s) or self._moved(file):
                raise CannotCreate(self._in_use(file))
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def holder(self) -> int | None:
        """The process id of the holder; None when nobody holds the lock."""
        try:
            file = TextIOWrapper(opened(self.path), encoding="ascii", errors="replace")
        except (OSError, DataError):
            return None
        with file:
            return None if _taken(file, fcntl.LOCK_SH) else _process_id(file)

    def _opened(self) -> TextIO:
        try:
            return self.path.open("a+", encoding="ascii", errors="replace")
        except OSError as error:
            raise user_error(error, f"opening {self.path}") from error

    def _moved(self, file: TextIO) -> bool:
        """Whether the directory was moved aside between our opening of the file and our locking it."""
        return not self.path.exists() or not os.path.samestat(os.fstat(file.fileno()), self.path.stat())

    def _in_use(self, file: TextIO) -> str:
        return (
            f"{self.path.parent}: in use by process {_process_id(file)}; "
            "wait for it, stop it, or choose another --run-dir"
        )


def _taken(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_within(file: TextIO, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _taken(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(PROBE_SECONDS / 10)
    return True


def _process_id(file: TextIO) -> int:
    file.seek(0)
    written = file.read(_LONGEST_ID).strip()
    return int(written) if written.isdecimal() else 0
