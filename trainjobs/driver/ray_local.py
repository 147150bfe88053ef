"""A Ray of this machine, for one run."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from trainjobs.driver.launcher import StartFailed
from trainjobs.driver.ray_errors import start_failure
from trainjobs.driver.ray_internals.connection import connect
from trainjobs.driver.ray_internals.node import lean, sessions

END_S: Final = 10.0
"""Seconds that Ray's processes may take to end before they are killed."""


class LocalRay:
    """Ray's processes below this one, until `end`. Raises StartFailed; then none of them is left.

    Args:
        cpus: as many Ray is told of, also where the machine has fewer.
    """

    def __init__(self, cpus: int) -> None:

        self._processes = _below()
        self._sessions = sessions()
        began = time.monotonic()
        keep_token_private()
        try:
            with lean():  # without "local" Ray joins whichever was started last on this machine
                connect("local", num_cpus=cpus, include_dashboard=False)
        except Exception as error:
            self._end_processes(0)
            raise StartFailed(start_failure(error, time.monotonic() - began, self._own())) from error

    def end(self, *, keep: bool) -> None:
        """End the processes; `keep`: the directories with their logs stay."""
        self._end_processes(END_S)
        if not keep:
            for directory in self._own():
                remove_session(directory)

    def _end_processes(self, seconds: float) -> None:
        """Those that have not ended so many seconds after they were asked to are killed."""
        import ray

        processes = _below() - self._processes
        ray.shutdown()
        alive = psutil.wait_procs(processes, seconds)[1]
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, END_S)

    def _own(self) -> list[Path]:
        return sorted(sessions() - self._sessions)


def remove_session(directory: Path) -> None:
    """Remove a session's directory, and the link that calls it the latest one."""
    latest = directory.parent / "session_latest"
    with suppress(OSError):  # no link
        if latest.readlink() == directory:
            latest.unlink()
    shutil.rmtree(directory, ignore_errors=True)


def keep_token_private() -> None:
    """Close the directory in which Ray keeps this user's token, a file for all to read: whoever has it runs code in
    this user's clusters. Before the token is made, so that there is no moment at which another user could read it."""
    directory = Path.home() / ".ray"
    with suppress(OSError):  # another user's, or none can be made: then Ray makes no token there
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)


def _below() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))
