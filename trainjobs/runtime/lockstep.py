"""As many training batches on each rank as every rank has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trainjobs.coordination import Coordinator
from trainjobs.runtime.loaders import batch_count, batches_from


@dataclass(frozen=True, slots=True)
class Lent:
    """A batch in the hands of the training function."""

    batch: Any
    done: int
    """Batches of the epoch that are done with this one."""
    completes_step: bool
    last: bool
    """Whether it is known to be the epoch's last."""


class Lockstep:
    """The training batches of one loader."""

    def __init__(
        self,
        loader: Any,
        coordinator: Coordinator,
        *,
        rank: int,
        accumulate: int = 1,
        limit: int | None = None,
    ) -> None:
        self.total: int | None = None
        self._limit = limit
        self._loader = loader
        self._coordinator = coordinator
        self._rank = rank
        self._accumulate = accumulate

    def batches(self, epoch: int, skip: int, steps_left: int | None) -> Iterator[Lent]:
        """The epoch's batches without its first `skip`, for at most `steps_left` steps."""
        batches = batches_from(self._loader, epoch, skip, self._rank)
        length = batch_count(self._loader)
        if self._limit is not None:
            batches = islice(batches, max(0, self._limit - skip))
            length = None if length is None else min(length, self._limit)
        if length is None:
            return self._step_by_step(batches, skip, steps_left)
        return self._counted(batches, length, skip, steps_left)

    def _counted(
        self, batches: Iterator[Any], length: int, skip: int, steps_left: int | None
    ) -> Iterator[Lent]:
        total = self.total = self._coordinator.align(length)
        if self._coordinator.halted:
            return
        if steps_left is not None:
            total = min(total, (skip // self._accumulate + steps_left) * self._accumulate)
        for done, batch in zip(range(skip + 1, total + 1), batches, strict=False):
            completes = done % self._accumulate == 0 or done == self.total
            yield Lent(batch, done, completes, last=done == self.total)

    def _step_by_step(self, batches: Iterator[Any], skip: int, steps_left: int | None) -> Iterator[Lent]:
        done = skip
        while steps_left is None or steps_left > 0:
            window = list(islice(batches, self._accumulate))
            size = self._coordinator.align(len(window))
            if size == 0:
                return
            for position, batch in enumerate(window[:size], start=1):
                yield Lent(batch, done + position, completes_step=position == size, last=False)
            done += size
            steps_left = None if steps_left is None else steps_left - 1

    def state(self) -> object | None:
        return None

    def restore(self, state: object) -> None:
        """Nothing to restore."""
