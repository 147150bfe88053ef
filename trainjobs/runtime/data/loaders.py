"""Data loaders that shard over ranks, and that a resumed run can continue in the middle of an epoch."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler


class ShardBatches(Sampler[list[int]]):
    """This rank's batches of a data set, in an order that depends on (`seed`, epoch) alone; none is empty.

    While training (`even=True`) every rank has the same number of batches, because a model in DDP talks to the other
    ranks in each backward pass; shares are filled up from the first samples, as torch's `DistributedSampler` does it.

    For evaluation (`even=False`) every sample is seen exactly once. Shares that differ by a sample are cut into equally
    many batches of nearly `batch_size`, unless one would be empty: with `batch_size` 1 some ranks have a batch more,
    and with fewer samples than ranks some have none.

    Args:
        length: samples in the data set.
        rank, world_size: which share of how many.
        batch_size: samples a batch, at most.
        shuffle: a new order for each epoch.
        even: fill up so that all shares have one length.
        drop_last: full batches only; what is left of each share is not seen.
        seed: of the order.
    """

    def __init__(
        self,
        length: int,
        *,
        rank: int,
        world_size: int,
        batch_size: int | None,
        shuffle: bool,
        even: bool,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        if not batch_size or batch_size < 1:
            raise ValueError(
                f"prepare_loader(batch_size={batch_size!r}): a batch has at least 1 sample; None is for an "
                "IterableDataset that yields whole batches"
            )
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
        """Batches of a whole epoch on this rank."""
        share, largest = self._samples(self._rank), self._samples(0)
        if self._drop_last:
            return share // self._batch_size
        return min(share, math.ceil(largest / self._batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        share = self._share()
        for index in range(self._skip, len(self)):
            yield share[self._bound(index) : self._bound(index + 1)]

    def _samples(self, rank: int) -> int:
        """Samples in a rank's share; rank 0 has the largest."""
        return len(range(0 if self._even else rank, self._length, self._world_size))

    def _bound(self, index: int) -> int:
        """Where batch `index` begins in the share."""
        share = self._samples(self._rank)
        if self._even or self._drop_last:
            return min(index * self._batch_size, share)
        return share * index // len(self)

    def _share(self) -> list[int]:
        order = self._order()
        if self._even and order:
            missing = -len(order) % self._world_size
            order += (order * -(-missing // len(order)))[:missing]
        return order[self._rank :: self._world_size]

    def _order(self) -> list[int]:
        if not self._shuffle:
            return list(range(self._length))
        generator = torch.Generator("cpu").manual_seed(_mixed(self._seed, self._epoch))
        return torch.randperm(self._length, generator=generator, device="cpu").tolist()


def sharded_loader(
    data: Dataset[Any], batches: ShardBatches | None, options: dict[str, Any]
) -> DataLoader[Any]:
    """A `DataLoader` over this rank's batches; `options` go to it as they are.

    An iterable data set comes without `batches`: it shards itself, by `torch.distributed.get_rank()`.
    """
    if batches is None:
        return DataLoader(data, generator=torch.Generator("cpu"), **options)
    return DataLoader(data, batch_sampler=batches, generator=torch.Generator("cpu"), **options)


class ZippedLoaders:
    """Several loaders side by side, as `zip` goes through them; each goes on where it was after a resume."""

    def __init__(self, loaders: Sequence[Any]) -> None:
        self.loaders = tuple(loaders)


def zipped(loaders: Sequence[Any]) -> Any:
    """The only loader, or several as one."""
    return loaders[0] if len(loaders) == 1 else ZippedLoaders(loaders)


def batches_from(loader: Any, epoch: int, skip: int, rank: int) -> Iterator[Any]:
    """The batches of one epoch of any iterable, without the first `skip`; its iterator is made at once.

    A loader of `sharded_loader` skips by index and draws its workers' seeds from its own generator, so that nothing
    depends on how often the run was interrupted. Any other loader is asked for the skipped batches and they are
    dropped; the caller lets it find the random numbers of the epoch's start.
    """
    if isinstance(loader, ZippedLoaders):
        return zip(*[batches_from(each, epoch, skip, rank) for each in loader.loaders], strict=False)
    _set_epoch(loader, epoch, skip, rank)
    with _made_on_the_cpu(loader):
        iterator: Iterator[Any] = iter(loader)
    if not is_prepared(loader):
        for _ in range(skip):
            next(iterator, None)
    return iterator


def is_prepared(loader: Any) -> bool:
    """Whether it is one of `sharded_loader` that knows its batches."""
    return isinstance(getattr(loader, "batch_sampler", None), ShardBatches)


def _set_epoch(loader: Any, epoch: int, skip: int, rank: int) -> None:
    if is_prepared(loader):
        loader.batch_sampler.start_at(epoch, skip)
        loader.generator.manual_seed(_mixed(epoch, rank + 1))
    for part in (loader, getattr(loader, "dataset", None), *samplers(loader)):
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)


def _made_on_the_cpu(loader: Any) -> AbstractContextManager[Any]:
    """A `DataLoader` draws a seed on the default device from a generator on the CPU, which fails on any other."""
    return torch.device("cpu") if isinstance(loader, DataLoader) else nullcontext()


def samplers(loader: Any) -> Iterator[Any]:
    """Where a `DataLoader` has its indices from, outermost first: its batch sampler, then that one's sampler."""
    sampler = getattr(loader, "batch_sampler", None)
    if sampler is None:
        sampler = getattr(loader, "sampler", None)
    while sampler is not None:
        yield sampler
        sampler = getattr(sampler, "sampler", None)


def generators(loader: Any) -> list[torch.Generator]:
    """Those that a loader and its samplers draw from and go on with in the next epoch."""
    if isinstance(loader, ZippedLoaders):
        return [generator for each in loader.loaders for generator in generators(each)]
    if is_prepared(loader):
        return []
    found = [getattr(part, "generator", None) for part in (loader, *samplers(loader))]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())


def certain_length(loader: Any) -> int | None:
    """Batches of one epoch on this rank, where `len()` can be believed; else None.

    It can for lists, for prepared loaders, and for torch's own loader and samplers over a map-style data set. Any other
    length is what somebody says of it: that of an `IterableDataset` is usually the whole data set's, on every rank.
    """
    if isinstance(loader, ZippedLoaders):
        lengths = [certain_length(each) for each in loader.loaders]
        known = [length for length in lengths if length is not None]
        return min(known) if len(known) == len(lengths) else None
    certain = isinstance(loader, list | tuple) or is_prepared(loader) or _is_torchs(loader)
    return len(loader) if certain else None


def _is_torchs(loader: Any) -> bool:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return False
    return all(_keeps_its_length(part) for part in (loader, *samplers(loader)))


def _keeps_its_length(part: Any) -> bool:
    """Whether both its length and its iteration are code of torch (or torchdata), or a list's."""
    methods = [getattr(type(part), name, None) for name in ("__iter__", "__len__")]
    return isinstance(part, list | tuple | range) or all(
        getattr(method, "__module__", "").partition(".")[0] in {"torch", "torchdata"} for method in methods
    )


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
