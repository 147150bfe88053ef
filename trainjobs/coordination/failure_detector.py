"""Which ranks are alive: told by when each was last heard of. Time is passed in, in seconds of a steady clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HEARTBEATS_PER_TIMEOUT = 6
"""A rank is given up after this many missed signs of life."""


@dataclass(slots=True)
class _Sign:
    at: float
    step: int


class FailureDetector:
    """The ranks one rank listens for: rank 0 for all others, all others for rank 0."""

    def __init__(self, ranks: Iterable[int], timeout_s: float, step: int, now: float) -> None:
        self._signs = {rank: _Sign(now, step) for rank in ranks}
        self._timeout_s = timeout_s
        self.interval_s = timeout_s / HEARTBEATS_PER_TIMEOUT

    def heard(self, rank: int, now: float, step: int | None = None) -> None:
        sign = self._signs.get(rank)
        if sign is not None:
            sign.at = now
            sign.step = sign.step if step is None else step

    def reset(self, now: float) -> None:
        """This process has itself been stopped or starved: it cannot tell who was silent meanwhile."""
        for sign in self._signs.values():
            sign.at = now

    def forget(self, rank: int) -> None:
        self._signs.pop(rank, None)

    def last_step(self, rank: int) -> int:
        """Training steps that `rank` had finished when last heard of; 0 for one that is not watched."""
        sign = self._signs.get(rank)
        return sign.step if sign else 0

    def overdue(self, now: float) -> int | None:
        """The rank that has been silent longest, if for the time-out or more."""
        rank = min(self._signs, key=lambda rank: self._signs[rank].at, default=None)
        if rank is None or now - self._signs[rank].at < self._timeout_s:
            return None
        return rank
