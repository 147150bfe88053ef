"""What starts the workers of a run. It imports next to nothing: torch is imported elsewhere meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from trainjobs.runtime.forkserver import ForkServer

if TYPE_CHECKING:
    from trainjobs.runtime.workers import Workers


class Launcher(StrEnum):
    """What starts the workers."""

    LOCAL = "local"
    RAY = "ray"


@contextmanager
def launching(launcher: Launcher) -> Iterator[Callable[[int], "Workers"]]:
    """What makes the launcher of so many workers; the local one begins to come up at once."""
    if launcher is Launcher.RAY:
        yield _ray
        return
    with closing(ForkServer()) as server:
        server.start()
        yield lambda _: _local(server)


def _ray(count: int) -> "Workers":
    from trainjobs.runtime.ray_workers import RayWorkers

    return RayWorkers(count)


def _local(server: ForkServer) -> "Workers":
    from trainjobs.runtime.local_workers import LocalWorkers

    return LocalWorkers(server)
