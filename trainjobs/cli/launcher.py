"""What starts the workers of a run. It imports next to nothing: torch is imported elsewhere meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from trainjobs.driver.forkserver import ForkServer

if TYPE_CHECKING:
    from trainjobs.driver.launcher import Workers


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
    from trainjobs.driver.ray_launcher import RayWorkers

    return RayWorkers(count)


def _local(server: ForkServer) -> "Workers":
    from trainjobs.driver.local_launcher import LocalWorkers

    return LocalWorkers(server)
