"""What a checkpoint holds, and what its name says of it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainjobs.stopping import Observation


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the run a checkpoint was taken: `batch` steps of epoch `epoch` are done, `reported` after its report."""

    epoch: int
    step: int
    batch: int
    reported: bool
    seconds: float
    steps_over: bool = False
    """The steps of this epoch are done, also where its loop was left early."""

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return self.epoch if self.reported else self.epoch - 1

    @property
    def amid(self) -> bool:
        """Whether steps of an epoch are done that is not finished."""
        return self.batch > 0 and not self.reported


@dataclass(frozen=True, slots=True)
class BestCheckpoint:
    """Which file holds the weights of the best report so far. `report` counts from 1 over the whole history."""

    name: str
    report: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on the storage, by its name; neither steps nor reports need move between two of them."""

    name: str
    epoch: int | None
    """None in the names of an older format."""
    step: int
    reports: int
    again: int
    """How many checkpoints of this place came before it and are kept, since they hold the best weights."""
    uri: str
    seconds: float = 0.0

    @property
    def order(self) -> tuple[int, ...]:
        return self.step, self.reports, self.epoch or 0, self.again


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checkpoint holds.

    `objects` maps the names given to `run.track` to state dicts; `ranks[r]` is what only rank r knows, states of its
    own among them; `best` is as of when it was written, itself included.
    """

    position: Position
    objects: MutableMapping[str, Any]
    history: Sequence[Observation]
    ranks: Sequence[Mapping[str, Any]]
    best: BestCheckpoint | None = None

    def seen_by(self, rank: int) -> Contents:
        """The same with this rank's own objects and buffers in place of rank 0's."""
        mine = self.ranks[rank]
        models = {name: {**self.objects[name], **own} for name, own in mine.get("buffers", {}).items()}
        return replace(self, objects={**self.objects, **models, **mine.get("objects", {})})


@dataclass(frozen=True, slots=True)
class Found:
    """The newest checkpoint that can be read, and why newer ones could not: a sentence for each."""

    saved: Saved
    contents: Contents
    passed_over: tuple[str, ...]
