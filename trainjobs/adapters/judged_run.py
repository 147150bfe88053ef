"""What an adapter asks of a run: the one that `trainjobs run` has started in this process, else one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trainjobs.coordination import Decision


@dataclass(frozen=True, slots=True)
class Place:
    """Where a framework is in its training."""

    epoch: int
    """The epoch that this belongs to, from 1."""
    step: int
    """Optimizer steps finished since the start of the run."""
    whole: bool = True
    """Whether the epoch's steps are over."""

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return self.epoch if self.whole else self.epoch - 1


START = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a report came to, the same on every rank."""

    leave: bool
    """Every rank leaves its training here."""
    best: bool
    """It is the best so far."""
    metrics: Mapping[str, float]
    """Reduced over the ranks; empty where the run had halted before."""


class JudgedRun(Protocol):
    """A run as an adapter sees it. All ranks make the same calls in the same order."""

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on."""

    def poll(self, at: Place) -> bool:
        """An optimizer step is done: whether to leave the training here, on every rank."""

    def report(self, at: Place, metrics: Mapping[str, float]) -> Judgement:
        """Take the means of metrics over the ranks, keep and judge them. Collective."""

    def end(self, at: Place) -> None:
        """The training is over. Collective; a second call does nothing."""

    def fail(self, error: BaseException) -> None:
        """This rank leaves with an error."""
