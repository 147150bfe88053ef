"""No batch is empty, every sample is seen, an epoch can be continued anywhere, only a certain length is believed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

from trainjobs.runtime.data.loaders import (
    ShardBatches,
    batches_from,
    certain_length,
    sharded_loader,
    to_device,
)

sizes = {
    "length": st.integers(0, 60),
    "world_size": st.integers(1, 5),
    "batch_size": st.integers(1, 9),
    "shuffle": st.booleans(),
}
choices = sizes | {"even": st.booleans(), "drop_last": st.booleans()}


def shares(length, world_size, batch_size, shuffle, even, epoch=1, skip=0, drop_last=False, seed=3):
    """Each rank's batches."""
    found = []
    for rank in range(world_size):
        batches = ShardBatches(
            length,
            rank=rank,
            world_size=world_size,
            batch_size=batch_size,
            shuffle=shuffle,
            even=even,
            drop_last=drop_last,
            seed=seed,
        )
        batches.start_at(epoch, skip)
        found.append(list(batches))
        assert len(found[-1]) == max(0, len(batches) - skip)
    return found


def seen(found):
    return Counter(index for batches in found for batch in batches for index in batch)


@settings(max_examples=300, deadline=None)
@given(**choices)
def test_no_batch_is_empty_or_larger_than_asked_for(**choice):
    found = shares(**choice)
    assert {len(batch) for batches in found for batch in batches} <= set(range(1, choice["batch_size"] + 1))


@settings(max_examples=300, deadline=None)
@given(**sizes)
def test_evaluation_shows_every_sample_exactly_once(length, **size):
    found = shares(length, even=False, **size)
    assert seen(found) == Counter(range(length))
    counts = [len(batches) for batches in found]
    assert max(counts) - min(counts) <= (size["batch_size"] == 1 or length < size["world_size"])


@settings(max_examples=200, deadline=None)
@given(**sizes, drop_last=st.booleans())
def test_training_gives_every_rank_the_same_batch_sizes(length, drop_last, **size):
    found = shares(length, even=True, drop_last=drop_last, **size)
    assert len({tuple(map(len, batches)) for batches in found}) == 1
    if not drop_last:
        assert set(seen(found)) == set(range(length))


@settings(max_examples=200, deadline=None)
@given(**sizes, even=st.booleans())
def test_drop_last_leaves_full_batches_only_and_less_than_a_batch_of_each_share_unseen(
    length, world_size, batch_size, **choice
):
    found = shares(length, world_size, batch_size, drop_last=True, **choice)
    assert {len(batch) for batches in found for batch in batches} <= {batch_size}
    assert length - len(seen(found)) <= world_size * (batch_size - 1)


@settings(max_examples=200, deadline=None)
@given(**choices, skip=st.integers(0, 8))
def test_an_epoch_continues_with_the_batch_after_the_last_one(skip, **choice):
    assert shares(**choice, skip=skip) == [batches[skip:] for batches in shares(**choice)]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**40), epoch=st.integers(1, 1000))
def test_the_order_depends_on_the_seed_and_the_epoch_alone(seed, epoch):
    size = {"length": 60, "world_size": 2, "batch_size": 4, "shuffle": True, "even": True}
    first = shares(**size, seed=seed, epoch=epoch)
    torch.rand(1)
    assert shares(**size, seed=seed, epoch=epoch) == first
    assert shares(**size, seed=seed, epoch=epoch + 1) != first
    assert shares(**size, seed=seed + 1, epoch=epoch) != first


@pytest.mark.parametrize("batch_size", [0, -1, None])
def test_a_batch_without_a_sample_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size={batch_size}.*at least 1 sample"):
        shares(8, 1, batch_size, shuffle=False, even=True)


def prepared(data, **options):
    batches = ShardBatches(len(data), rank=0, world_size=1, batch_size=2, shuffle=True, even=True)
    return sharded_loader(data, batches, options)


class Numbers(IterableDataset):
    """As many as are really there, and the number that somebody believes in."""

    def __init__(self, count, claimed):
        self.count, self.claimed = count, claimed

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.claimed


DATA = TensorDataset(torch.arange(12))


class EverySecond(Sampler):
    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(range(0, self.length, 2))

    def __len__(self):
        return self.length


class Relabelled(DataLoader):
    def __init__(self, data, **options):
        self.label = "validation"
        super().__init__(data, **options)


class Doubled(DataLoader):
    def __iter__(self):
        for batch in super().__iter__():
            yield batch
            yield batch


LOADERS = {
    "prepared": (lambda: prepared(DATA), 6),
    "plain": (lambda: DataLoader(DATA, batch_size=5, shuffle=True), 3),
    "dropping": (lambda: DataLoader(DATA, batch_size=5, drop_last=True), 2),
    "unbatched": (lambda: DataLoader(DATA, batch_size=None), 12),
    "distributed": (lambda: DataLoader(DATA, 2, sampler=DistributedSampler(DATA, 3, 1)), 2),
    "weighted": (lambda: DataLoader(DATA, 2, sampler=WeightedRandomSampler([1.0] * 12, 8)), 4),
    "chosen": (lambda: DataLoader(DATA, sampler=[1, 2, 3]), 3),
    "batched by torch": (lambda: DataLoader(DATA, batch_sampler=BatchSampler(range(12), 5, False)), 3),
    "of a class of one's own": (lambda: Relabelled(DATA, batch_size=4), 3),
    "list": (lambda: [1, 2, 3], 3),
    "stream": (lambda: DataLoader(Numbers(12, 24), batch_size=2), None),
    "prepared stream": (lambda: sharded_loader(Numbers(12, 24), None, {"batch_size": 2}), None),
    "own sampler": (lambda: DataLoader(DATA, 2, sampler=EverySecond(12)), None),
    "own batch sampler": (lambda: DataLoader(DATA, batch_sampler=[[0, 1], [2]]), 2),
    "own sampler, batched": (
        lambda: DataLoader(DATA, batch_sampler=BatchSampler(EverySecond(12), 2, False)),
        None,
    ),
    "own iteration": (lambda: Doubled(DATA), None),
    "generator": (lambda: iter([1, 2, 3]), None),
    "anything": (lambda: Numbers(12, 24), None),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_a_length_is_certain_only_where_torch_or_we_keep_it(kind):
    make, length = LOADERS[kind]
    assert certain_length(make()) == length
    if length is not None:
        assert len(list(make())) == length


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("skip", [0, 1, 50])
def test_every_loader_continues_after_the_batches_that_were_seen(kind, skip):
    def batches(skip):
        torch.manual_seed(5)
        return list(batches_from(LOADERS[kind][0](), 1, skip, 0))

    assert str(batches(skip)) == str(batches(0)[skip:])


@pytest.mark.parametrize("kind", ["prepared", "prepared stream", "dropping", "own sampler"])
def test_a_default_device_other_than_the_cpu_is_no_matter(kind):
    data = TensorDataset(torch.arange(12, device="cpu"))
    loader = prepared(data) if kind == "prepared" else LOADERS[kind][0]()
    torch.set_default_device("meta")
    try:
        iterator = batches_from(loader, 1, 0, 0)
    finally:
        torch.set_default_device(None)
    assert len(list(iterator)) == len(list(loader))


def test_the_order_is_drawn_on_the_cpu_whatever_the_default_device():
    with torch.device("meta"):
        found = shares(9, 2, 2, shuffle=True, even=False)
    assert found == shares(9, 2, 2, shuffle=True, even=False)


class Epochs:
    """A data set or sampler that is told the epoch."""

    def __init__(self):
        self.epoch = None

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        return iter(range(4))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


TOLD = {
    "sampler": lambda told: DataLoader(range(4), sampler=told),
    "sampler of a batch sampler": lambda told: DataLoader(
        range(4), batch_sampler=BatchSampler(told, 2, False)
    ),
    "data set": DataLoader,
    "data set of a prepared loader": prepared,
    "any iterable": lambda told: told,
}


@pytest.mark.parametrize("where", TOLD)
def test_whoever_has_set_epoch_is_told_the_epoch(where):
    told = Epochs()
    batches_from(TOLD[where](told), 7, 0, 0)
    assert told.epoch == 7


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_loader_leaves_the_global_generator_alone(workers):
    data = TensorDataset(torch.arange(12))
    loader = prepared(data, num_workers=workers)
    before = torch.get_rng_state()
    whole = [batch[0].tolist() for batch in batches_from(loader, 4, 0, 0)]
    rest = [batch[0].tolist() for batch in batches_from(loader, 4, 2, 0)]
    assert rest == whole[2:]
    assert torch.equal(before, torch.get_rng_state())


def test_batches_keep_their_shape_on_the_way_to_the_device():
    batch = {"x": [torch.ones(2), (torch.zeros(1), "label")], "n": 3}
    moved = to_device(batch, torch.device("cpu"))
    assert moved["n"] == 3
    assert moved["x"][1][1] == "label"
    assert isinstance(moved["x"], list)
