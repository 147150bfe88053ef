"""What starts the workers of a run. It imports next to nothing: torch is imported elsewhere meanwhile."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trainjobs.driver.forkserver import ForkServer

if TYPE_CHECKING:
    from trainjobs.driver.launcher import Workers


class Launcher(StrEnum):
    """What starts the workers."""

    INLINE = "inline"
    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Launch:
    """A launcher that was chosen."""

    workers: "Callable[[int], Workers]"
    """Makes what starts so many of them."""
    options: tuple[str, ...] = ()
    """How it is chosen again; empty where nobody has chosen."""
    only_one: bool = False
    """Whether it can start one worker only."""


@contextmanager
def launching(asked: Launcher | None) -> Iterator[Launch]:
    """The launcher that was asked for, or that this machine's environment needs; the local one begins to come up at
    once."""
    options = ("--launcher", asked.value) if asked else ()
    cluster = named_cluster(os.environ)
    if asked is Launcher.INLINE:
        yield Launch(lambda _: _inline(), options, only_one=True)
        return
    if (asked or (Launcher.RAY if cluster else Launcher.LOCAL)) is Launcher.RAY:
        yield Launch(lambda count: _ray(count, cluster), options)
        return
    with closing(ForkServer()) as server:
        server.start()
        yield Launch(lambda _: _local(server), options)


def named_cluster(environment: Mapping[str, str]) -> str:
    """The address of the Ray cluster that Ray's own variable names; empty without one."""
    address = environment.get("RAY_ADDRESS", "")
    return "" if address == "local" else address


def _ray(count: int, cluster: str) -> "Workers":
    from trainjobs.driver.ray_launcher import RayWorkers

    return RayWorkers(count, cluster)


def _inline() -> "Workers":
    from trainjobs.driver.inline_launcher import InlineWorkers

    return InlineWorkers()


def _local(server: ForkServer) -> "Workers":
    from trainjobs.driver.local_launcher import LocalWorkers

    return LocalWorkers(server)
