"""What starts the workers of a run. It imports next to nothing: torch is imported elsewhere meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trainjobs.driver.forkserver import ForkServer

if TYPE_CHECKING:
    from trainjobs.driver.launcher import Workers


class Launcher(StrEnum):
    """What starts the workers."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Launch:
    """A launcher that was chosen."""

    workers: "Callable[[int], Workers]"
    """Makes what starts so many of them."""
    options: tuple[str, ...] = ()
    """How it is chosen again."""


@contextmanager
def launching(launcher: Launcher) -> Iterator[Launch]:
    """The launcher; the local one begins to come up at once."""
    if launcher is Launcher.RAY:
        yield Launch(_ray)
        return
    with closing(ForkServer()) as server:
        server.start()
        yield Launch(lambda _: _local(server), ("--launcher", launcher.value))


def _ray(count: int) -> "Workers":
    from trainjobs.driver.ray_launcher import RayWorkers

    return RayWorkers(count)


def _local(server: ForkServer) -> "Workers":
    from trainjobs.driver.local_launcher import LocalWorkers

    return LocalWorkers(server)
