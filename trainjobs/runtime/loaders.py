"""Data loaders that shard over ranks, and that a resumed run can continue in the middle of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class ShardBatches(Sampler[list[int]]):
    """This rank's batches of a data set, in an order that depends on (`seed`, epoch) alone.

    Every rank has the same number of batches, because a model in DDP talks to the other ranks in each forward pass.
    While training (`even=True`) shares are filled up from the first samples, as torch's `DistributedSampler` does it.
    For evaluation (`even=False`) every sample is seen exactly once, and a share is cut into batches of nearly
    `batch_size` instead.

    Args:
        length: samples in the data set.
        rank, world_size: which share of how many.
        batch_size: samples a batch, at most.
        shuffle: a new order for each epoch.
        even: fill up so that all shares have one length.
        drop_last: leave out a last batch that is not full.
        seed: of the order.
    """

    def __init__(
        self,
        length: int,
        *,
        rank: int,
        world_size: int,
        batch_size: int,
        shuffle: bool,
        even: bool,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self._length = length
        self._rank = rank
        self._world_size = world_size
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._even = even
        self._drop_last = drop_last
        self._seed = seed
        self._epoch = 0
        self._skip = 0

    def start_at(self, epoch: int, skip: int) -> None:
        """The next iteration is that of `epoch`, without its first `skip` batches."""
        self._epoch, self._skip = epoch, skip

    def __len__(self) -> int:
        """Batches of a whole epoch, the same on every rank."""
        batches = math.ceil(self._length / self._world_size) / self._batch_size
        return math.floor(batches) if self._drop_last else math.ceil(batches)

    def __iter__(self) -> Iterator[list[int]]:
        share = self._share()
        for index in range(self._skip, len(self)):
            yield share[self._bound(share, index) : self._bound(share, index + 1)]

    def _bound(self, share: list[int], index: int) -> int:
        """Where batch `index` begins in the share."""
        if self._even or self._drop_last:
            return min(index * self._batch_size, len(share))
        return len(share) * index // len(self)

    def _share(self) -> list[int]:
        order = self._order()
        if self._even and order:
            missing = -len(order) % self._world_size
            order += (order * -(-missing // len(order)))[:missing]
        return order[self._rank :: self._world_size]

    def _order(self) -> list[int]:
        if not self._shuffle:
            return list(range(self._length))
        generator = torch.Generator().manual_seed(_mixed(self._seed, self._epoch))
        return torch.randperm(self._length, generator=generator).tolist()


def sharded_loader(
    data: Dataset[Any], batches: ShardBatches | None, options: dict[str, Any]
) -> DataLoader[Any]:
    """A `DataLoader` over this rank's batches; `options` go to it as they are.

    An iterable data set comes without `batches`: it shards itself, by `torch.distributed.get_rank()`.
    """
    if batches is None:
        return DataLoader(data, generator=torch.Generator(), **options)
    return DataLoader(data, batch_sampler=batches, generator=torch.Generator(), **options)


def batches_from(loader: Any, epoch: int, skip: int, rank: int) -> Iterator[Any]:
    """The batches of one epoch of any iterable, without the first `skip`; its iterator is made at once.

    A loader of `sharded_loader` skips by index and draws its workers' seeds from its own generator, so that nothing
    depends on how often the run was interrupted. Any other loader is asked for the skipped batches and they are
    dropped; the caller lets it find the random numbers of the epoch's start.
    """
    batches = getattr(loader, "batch_sampler", None)
    if isinstance(batches, ShardBatches):
        batches.start_at(epoch, skip)
        loader.generator.manual_seed(_mixed(epoch, rank + 1))
        fresh: Iterator[Any] = iter(loader)
        return fresh
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)
    iterator: Iterator[Any] = iter(loader)
    for _ in range(skip):
        next(iterator, None)
    return iterator


def batch_count(loader: Any) -> int | None:
    """Batches of one epoch on this rank; None where the loader does not know."""
    try:
        return len(loader)
    except TypeError:
        return None


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor in it on `device`; tuples, lists and dicts keep their shape."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def _mixed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % 2**63
