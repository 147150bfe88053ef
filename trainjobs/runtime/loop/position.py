"""The terms of a training loop: which worker, where in an epoch, what a report comes to, where a run can be resumed."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch

from trainjobs.coordination import Decision
from trainjobs.runtime.checkpoint.contents import Position
from trainjobs.runtime.checkpoint.snapshot import Snapshot


class Interrupted(BaseException):
    """Unwinds the training function after an interruption, once the checkpoint is durable.

    Not an `Exception`, so that a training function's own error handling does not swallow it.
    """


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Which worker this is: its rank among `world_size`, on which device."""

    rank: int
    world_size: int
    device: torch.device


@dataclass(frozen=True, slots=True)
class Report(Mapping[str, float]):
    """What `report()` comes to, the same on every rank: its metrics. True where the training loop is to end here."""

    metrics: Mapping[str, float]
    """Reduced over all ranks; empty if the run had halted before, so that nothing was measured."""
    decision: Decision | None
    """What ended the run; None while it goes on."""
    leave: bool = False
    best: bool = False
    """It is the best so far, by the criteria of now."""

    def __bool__(self) -> bool:
        return self.leave

    def __getitem__(self, metric: str) -> float:
        """A reduced metric; NaN if the run had halted before."""
        return math.nan if self.decision is not None and not self.metrics else self.metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)


class LoopPhase(Enum):
    """Where in an epoch's body the training function is."""

    OUTSIDE = "outside the loop over epochs"
    BODY = "before the epoch's steps"
    STEPS = "amid its steps"
    AFTER = "after its steps"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """To where a resumed function comes back by itself: until the next step only small states change."""

    position: Position
    states: Snapshot
    reports: int
    """Observations until there; later ones are made again."""


def position_of(common: Position, mine: Mapping[str, Any]) -> Position:
    """Where this rank was: ranks that leave their steps early by themselves may be elsewhere than rank 0."""
    own = mine.get("position")
    return replace(Position(**own), seconds=common.seconds) if own else common
