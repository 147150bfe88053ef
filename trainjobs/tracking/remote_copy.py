"""What trackers write, on an object store: a pod's own disk goes with the pod, and trackers write to disks."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from trainjobs.runs.storage import storage_at

if TYPE_CHECKING:
    from trainjobs.tracking.tracker import TrackedRun

PAUSE_S: Final = 30.0
"""Between two copies: each is the whole file, for an object store appends to none."""


class RemoteCopy:
    """The files of one tracker, by a pattern such as "tensorboard/*", in the run's remote storage as well.

    What earlier pods have left there is fetched first. Raises what the storage does.
    """

    def __init__(self, run: TrackedRun, pattern: str) -> None:
        self._folder = run.folder
        self._pattern = pattern
        self._storage = storage_at(run.remote)
        self._copied: dict[Path, int] = {}
        self._last = -math.inf
        self._fetch()

    def _fetch(self) -> None:
        parent = PurePosixPath(self._pattern).parent
        for name in self._storage.names("" if parent == PurePosixPath() else str(parent)):
            path = self._folder / parent / name
            if (parent / name).match(self._pattern) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with self._storage.open(str(parent / name)) as file:
                    path.write_bytes(file.read())
                self._copied[path] = path.stat().st_size

    def write_when_due(self) -> None:
        """Copy what has grown, if the last time is long enough ago, or there was none."""
        if time.monotonic() - self._last >= PAUSE_S:
            self.write()

    def write(self) -> None:
        """Copy what has grown."""
        for path in self._folder.glob(self._pattern):
            if self._copied.get(path) != (size := path.stat().st_size):
                name = path.relative_to(self._folder).as_posix()
                self._storage.write(name, partial(_fill, path.read_bytes()))
                self._copied[path] = size
        self._last = time.monotonic()


def _fill(content: bytes, file: IO[bytes]) -> None:
    file.write(content)
