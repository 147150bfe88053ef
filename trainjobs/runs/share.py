"""Which ranks of a team are on one machine. Imports nothing: what starts ranks is to be there first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Share:
    """The ranks of a team that one server forks, `first` and those after it, and where the whole team meets.

    Args:
        host: where rank 0's store listens.
        port: its port. 0: rank 0 is among these, and takes any.
    """

    first: int
    count: int
    world_size: int
    host: str = LOOPBACK
    port: int = 0

    @classmethod
    def whole(cls, count: int) -> Self:
        """A team of one server."""
        return cls(0, count, count)

    @property
    def ranks(self) -> range:
        return range(self.first, self.first + self.count)
