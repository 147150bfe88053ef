"""As many batches on each rank as every rank has: the ranks of one model train in lockstep, or they hang.

What comes counts, not what a loader says of itself. Where its length is certain, ranks agree once an epoch on the
smallest one; everywhere else they agree before each step on the batches they really hold for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainjobs.exits import DataError
from trainjobs.runtime.data.loaders import batches_from, certain_length, generators

_END = object()


@dataclass(frozen=True, slots=True)
class InFlightBatch:
    """A batch in the hands of the training function."""

    batch: Any
    done: int
    """Batches of the epoch that are done with this one."""
    completes_step: bool
    last: bool
    """Known to be the epoch's last batch; a stream's end shows only after it."""


class Aligner(Protocol):
    """What of a coordinator is used here."""

    @property
    def halted(self) -> bool: ...

    def align(self, count: int, /) -> int: ...


class Lockstep:
    """One loader's batches, on one rank.

    Args:
        loader: any iterable of batches.
        coordinator: in its collectives ranks agree.
        rank: this one.
        accumulate: batches that make one step. An epoch's last step may have fewer.
        limit: batches of an epoch at most.
    """

    def __init__(
        self, loader: Any, coordinator: Aligner, *, rank: int, accumulate: int = 1, limit: int | None = None
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"run.steps(accumulate={accumulate}): a step has at least 1 batch")
        self.total: int | None = None
        """Batches of the epoch, on every rank; None until that is known."""
        self._loader = loader
        self._coordinator = coordinator
        self._rank = rank
        self._accumulate = accumulate
        self._limit = limit
        self._done = self._read = 0
        self._begun = self._over = False
        self._restored: Mapping[str, Any] | None = None
        self._before: dict[str, Any] = {}
        self._drawn: list[torch.Tensor] = []

    def batches(self, epoch: int, skip: int, steps_left: int | None) -> Iterator[InFlightBatch]:
        """The rest of an epoch, the same number of batches on every rank. The loader's iterator is made at once.

        Args:
            epoch: from 1.
            skip: batches of the epoch that are done already.
            steps_left: the epoch ends after so many more steps; None: with the data.

        Raises:
            DataError: a loader has ended before a length that was certain; the other ranks lose this one.
        """
        passed = self._seek(skip)
        self._begun = True
        self._done, self._read, self._drawn = skip, skip, self._generator_states()
        if self._over:
            self.total = skip
            return iter(())
        iterator = batches_from(self._loader, epoch, skip - passed, self._rank)
        length = certain_length(self._loader)
        if self._limit is not None:
            iterator = islice(iterator, max(0, self._limit - skip))
            length = None if length is None else min(length, self._limit)
        if length is None:
            return self._as_they_come(iterator, skip, steps_left)
        return self._counted(iterator, length, skip, steps_left)

    def state(self) -> object | None:
        """Where the loader is, for a checkpoint: its own `state_dict`, and its generators. None before `batches`.

        Amid an epoch the generators are those of the epoch's start, from which its order was drawn.
        """
        if not self._begun:
            return None
        if self._over:
            return {"over": True, "batches": self._done, "generators": self._generator_states()}
        cursor = self._before if self._read > self._done else self._cursor()
        return {"over": False, "generators": self._drawn, **cursor}

    def end(self) -> None:
        """The epoch's steps are over, also if batches are left."""
        self._over = True

    def restore(self, state: object | None) -> None:
        """Go on from `state` in the next call of `batches`, which is for the same epoch or the one after it."""
        self._restored = state  # type: ignore[assignment]

    def _counted(
        self, iterator: Iterator[Any], length: int, skip: int, steps_left: int | None
    ) -> Iterator[InFlightBatch]:
        """One agreement for all of the epoch."""
        total = self._coordinator.align(length)
        if self._coordinator.halted:
            return
        if steps_left is not None:
            total = min(total, skip + steps_left * self._accumulate)
        self.total = total
        for done in range(skip + 1, total + 1):
            batch = next(iterator, _END)
            if batch is _END:
                raise self._too_short(length, done - 1)
            self._done = self._read = done
            yield InFlightBatch(
                batch, done, (done - skip) % self._accumulate == 0 or done == total, done == total
            )
        self._over = True

    def _as_they_come(
        self, iterator: Iterator[Any], skip: int, steps_left: int | None
    ) -> Iterator[InFlightBatch]:
        """An agreement for each step. One of fewer than `accumulate` batches is the last: some rank has no more."""
        done = skip
        for step in count(1) if steps_left is None else range(1, steps_left + 1):
            window = self._read_on(iterator)
            size = self._coordinator.align(len(window))
            if self._coordinator.halted:
                return
            ends = size < self._accumulate
            for position, batch in enumerate(window[:size], start=1):
                self._done = done + position
                completes = position == size
                yield InFlightBatch(batch, self._done, completes, completes and (ends or step == steps_left))
            done += size
            if ends:
                break
        self.total, self._over = done, True

    def _read_on(self, iterator: Iterator[Any]) -> list[Any]:
        """A step's batches, or what is left of them."""
        self._before = self._cursor()
        window = list(islice(iterator, self._accumulate))
        self._read += len(window)
        return window

    def _cursor(self) -> dict[str, Any]:
        """The batches read so far, and the loader's own state where it has one."""
        known = self._read > 0 and _has_state(self._loader)
        return {"batches": self._read, "loader": self._loader.state_dict() if known else None}

    def _seek(self, skip: int) -> int:
        """Set the loader to what was restored; returns how many batches it has passed by that."""
        state, self._restored = self._restored, None
        self._over = state is not None and state["over"] and state["batches"] == skip > 0
        if state is None:
            return 0
        for generator, drawn in zip(generators(self._loader), state["generators"], strict=False):
            generator.set_state(drawn.cpu())
        own = state.get("loader")
        if own is None or not _has_state(self._loader) or state["batches"] > skip:
            return 0
        self._loader.load_state_dict(own)
        return int(state["batches"])

    def _generator_states(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in generators(self._loader)]

    def _too_short(self, length: int, came: int) -> DataError:
        return DataError(
            f"the loader of run.steps() has a length of {length} batches on rank {self._rank} and ended after {came}; "
            "let its __len__ (or its sampler's) tell what comes, and its data set raise no StopIteration"
        )


def share_buffers(model: DistributedDataParallel) -> None:
    """Give rank 0's buffers (BatchNorm's statistics) to all ranks now, and not in the next forward pass. Collective.

    DDP does it in the first forward pass after a backward pass, evaluation or not, and hangs or mixes up its messages
    when a rank has nothing to evaluate. Done where every rank comes by, evaluation needs no other rank.
    """
    if model.will_sync_module_buffers():  # type: ignore[no-untyped-call]
        model._sync_buffers()  # type: ignore[no-untyped-call]
        model.require_forward_param_sync = False


@torch.no_grad()
def give_buffers(module: torch.nn.Module, device: torch.device) -> None:
    """Give rank 0's buffers of a module that no forward pass shares to all ranks. Collective.

    Args:
        device: where the process group sends from; the module may lie elsewhere.
    """
    for buffer in module.buffers():
        sent = buffer.to(device)
        dist.broadcast(sent, 0)
        buffer.copy_(sent)


def rebuild_buckets(model: DistributedDataParallel) -> None:
    """Let DDP put its buckets in order now, which its next forward pass with gradients would do. Collective."""
    reducer = getattr(model, "reducer", None)
    if reducer is not None:
        reducer._rebuild_buckets()


def keep_shared(model: DistributedDataParallel) -> None:
    """An evaluation's forward pass leaves buffers shared, also where gradients are not turned off."""
    model.register_forward_hook(_evaluated)


def _evaluated(model: torch.nn.Module, *_: object) -> None:
    if not model.training:
        model.require_forward_param_sync = False  # type: ignore[assignment]


def _has_state(loader: Any) -> bool:
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
