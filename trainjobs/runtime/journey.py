"""One worker's way through a run: where it is, when it halts, what is saved on the way.

`Run` and `StoppingCoordinator` are two ways to walk it. All ranks walk it together: every method marked collective is
called by all of them at the same place.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from trainjobs.coordination import Coordinator, Decision, Outcome
from trainjobs.runtime import randomness
from trainjobs.runtime.checkpoints import Position
from trainjobs.runtime.keeper import Keeper
from trainjobs.runtime.meters import Meters
from trainjobs.runtime.tracked import Tracked


class Interrupted(BaseException):
    """Unwinds the training function after an interruption, once the checkpoint is durable.

    Not an `Exception`, so that a training function's own error handling does not swallow it.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is: its rank among `world_size`, on which device."""

    rank: int
    world_size: int
    device: torch.device


@dataclass(frozen=True, slots=True)
class Settled:
    """The small states as they were after the last step of an epoch."""

    objects: Mapping[str, Any]
    mine: Mapping[str, Any]


class Journey:
    """Position, tracked objects and logged metrics of one worker."""

    def __init__(
        self, place: Place, max_epochs: int | None, coordinator: Coordinator, keeper: Keeper
    ) -> None:
        self.place = place
        self.max_epochs = max_epochs
        self.coordinator = coordinator
        self.keeper = keeper
        restored = keeper.restored
        self.tracked = Tracked(restored.objects if restored else None, keeper.source)
        self.meters = Meters()
        self.position = restored.position if restored else Position(0, 0, 0, reported=True, seconds=0.0)
        self.batches: int | None = None
        """Batches of this epoch; None while nobody knows."""
        self.finished = False
        self._settled: Settled | None = None
        self._start_of_epoch: Mapping[str, Any] | None = None
        self._began = time.monotonic()

    @property
    def rested(self) -> bool:
        """Whether the run has halted."""
        return self.keeper.rest is not None

    @property
    def seconds(self) -> float:
        """Training seconds so far, all attempts together."""
        return self.position.seconds + time.monotonic() - self._began

    @property
    def decision(self) -> Decision | None:
        """What ended the run; None while it goes on."""
        return self.coordinator.decision

    def begin(self) -> None:
        """Continue where the checkpoint was taken: generators, logged sums, verdict on the history. Collective."""
        self.tracked.check_complete()
        restored = self.keeper.restored
        if restored is not None:
            mine = restored.ranks[self.place.rank]
            randomness.restore(mine["randomness"], self.place.device)
            self.meters.restore(mine["meters"])
            self._start_of_epoch = mine["start of epoch"]
            self.keeper.judge_again()
        self._began = time.monotonic()

    def is_over(self) -> bool:
        """Whether every epoch is trained or the run has halted. Collective."""
        most = self.max_epochs
        trained = most is not None and self.position.reported and self.position.epoch >= most
        return trained or self.rest_if_halted()

    def enter_epoch(self) -> None:
        """Go on with the epoch the checkpoint lies in, or with the next."""
        if self.position.reported:
            self.position = replace(self.position, epoch=self.position.epoch + 1, batch=0, reported=False)
        self._settled = None

    def begin_steps(self) -> None:
        """Ticks are steps from here."""
        if self.position.batch == 0 or self._start_of_epoch is None:
            self._start_of_epoch = randomness.capture(self.place.device)
        self.coordinator.begin(self.position.step, self.seconds)

    @contextmanager
    def as_at_the_start_of_the_epoch(self) -> Iterator[None]:
        """Random numbers as they were then, for a loader that shuffles by them and is resumed amid an epoch."""
        if self.position.batch == 0 or self._start_of_epoch is None:
            yield
            return
        now = randomness.capture(self.place.device)
        randomness.restore(self._start_of_epoch, self.place.device)
        yield
        randomness.restore(now, self.place.device)

    def advance(self, batch: int, *, completes_step: bool) -> None:
        """`batch` batches of this epoch are done."""
        self.position = replace(self.position, batch=batch, step=self.position.step + completes_step)

    def settle(self) -> None:
        """The epoch's steps are done: remember what may change before evaluation ends, for a halt in between.

        Weights do not change there, so only small states are copied. A resume runs the rest of the epoch's body again.
        """
        self.coordinator.pause()
        self._settled = Settled(self.tracked.light_states(), self._mine())

    def judge(self) -> None:
        """Report what was logged, and learn the decision. Collective."""
        pairs = self.meters.drain()
        if self.rested:
            return
        reported = self.coordinator.report(
            epoch=self.position.epoch, step=self.position.step, seconds=self.seconds, metrics=pairs
        )
        self.keeper.reported(reported)

    def halt(self) -> None:
        """Halt in the middle of an epoch and write a checkpoint of this very place. Collective.

        Raises:
            Interrupted: after the checkpoint, if the run is to be continued later.
        """
        self.rest_if_halted()
        settled = self._settled or Settled({}, self._mine())
        self._save(self.tracked.states_with(settled.objects), settled.mine)
        self.leave_if_interrupted()

    def checkpoint(self) -> None:
        """Write a checkpoint of this place. Collective."""
        self._save(self.tracked.states(), self._mine())

    def end_epoch(self) -> None:
        """The epoch's body is done: a checkpoint if one is due, and a halt if one was decided. Collective.

        The checkpoint is written here and not at the report, so that it holds what the body does after its report,
        such as a scheduler's step.
        """
        if self.rested:
            return
        self.position = replace(self.position, reported=True)
        if self.rest_if_halted() or self.keeper.is_due(self.position.epoch):
            self.checkpoint()
        self.leave_if_interrupted()

    def rest_if_halted(self) -> bool:
        """Whether the run has halted, which all ranks then agree on here. Collective if it has."""
        return self.keeper.rest_if_halted(self.position.step) is not None

    def leave_if_interrupted(self) -> None:
        rest = self.keeper.rest
        if rest is not None and rest.decision is not None and rest.decision.outcome is Outcome.INTERRUPTED:
            raise Interrupted(rest.decision.reason)

    def finish(self) -> None:
        """End the run: no decision can come any more, the best weights are restored, the model is kept. Collective."""
        if self.finished:
            return
        self.keeper.conclude(self.position.step)
        self.leave_if_interrupted()
        self.keeper.restore_best(self.tracked.models())
        self.keeper.save_model(self.tracked.models())
        self.finished = True

    def final(self) -> None:
        """Account for the metrics logged after the end. Collective."""
        self.keeper.final(self.meters.drain())

    def _save(self, objects: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
        self.keeper.save(replace(self.position, seconds=self.seconds), objects, mine)

    def _mine(self) -> dict[str, Any]:
        """What only this rank knows."""
        return {
            "randomness": randomness.capture(self.place.device),
            "start of epoch": self._start_of_epoch,
            "meters": self.meters.state(),
        }
