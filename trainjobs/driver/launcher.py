"""What the driver needs of whoever starts the workers. `local_launcher` does it on one machine, `ray_launcher` through
Ray Train on any, `inline_launcher` in the driver's own process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from trainjobs.exits import Exit, UserError
from trainjobs.runs.attempt import Setup


class StartFailed(UserError):
    """What starts workers has not come up itself. One sentence; another attempt may succeed."""

    exit_code = Exit.FAILURE


class WorkersFailed(Exception):
    """A group of workers did not end well. One line."""


class Unstartable(WorkersFailed):
    """It cannot be started; another attempt would fail alike."""


class Group(Protocol):
    """The processes of one attempt; all of them are gone when it has ended."""

    @property
    def ended(self) -> bool: ...

    @property
    def error(self) -> BaseException | None:
        """Why the group did not end well, once it has ended."""

    @property
    def deaths(self) -> Mapping[int, str]:
        """How processes of ranks ended by themselves, once the group has ended and as far as the launcher knows, such
        as "was killed by SIGKILL". Those that it has ended itself are not among them."""


class Workers(AbstractContextManager[Any], Protocol):
    """Starts groups between `with` and its end. Entering it may raise StartFailed, and may be tried again then."""

    nodes: int
    """Machines that the workers are spread over."""
    host: str
    """Address at which the workers reach the driver."""
    restarts: bool
    """Whether a group that has failed may be followed by another one."""

    def lost(self) -> str:
        """Which nodes are gone, in a sentence; empty when all are there."""

    def start(self, setup: Setup, directory: Path) -> Group:
        """Start one group; `directory` is for its own files."""
