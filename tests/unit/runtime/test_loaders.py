"""Every rank has the same number of batches, every sample is seen, and an epoch can be continued anywhere."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from trainjobs.runtime.loaders import ShardBatches, batches_from, sharded_loader, to_device

sizes = {
    "length": st.integers(1, 60),
    "world_size": st.integers(1, 5),
    "batch_size": st.integers(1, 9),
    "shuffle": st.booleans(),
}


def shares(length, world_size, batch_size, shuffle, even, epoch=1, skip=0, drop_last=False):
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
            seed=3,
        )
        batches.start_at(epoch, skip)
        found.append(list(batches))
        assert len(found[-1]) == len(batches) - skip
    return found


@settings(max_examples=150, deadline=None)
@given(**sizes)
def test_evaluation_shows_every_sample_exactly_once_in_equally_many_batches(
    length, world_size, batch_size, shuffle
):
    found = shares(length, world_size, batch_size, shuffle, even=False)
    seen = Counter(index for batches in found for batch in batches for index in batch)
    assert seen == Counter(range(length))
    assert len({len(batches) for batches in found}) == 1
    assert max(len(batch) for batches in found for batch in batches) <= batch_size


@settings(max_examples=150, deadline=None)
@given(**sizes)
def test_training_gives_every_rank_the_same_batch_sizes(length, world_size, batch_size, shuffle):
    found = shares(length, world_size, batch_size, shuffle, even=True)
    assert len({tuple(map(len, batches)) for batches in found}) == 1
    assert {index for batches in found for batch in batches for index in batch} == set(range(length))


@settings(max_examples=100, deadline=None)
@given(**sizes, even=st.booleans(), skip=st.integers(0, 3))
def test_an_epoch_continues_with_the_batch_after_the_last_one(
    length, world_size, batch_size, shuffle, even, skip
):
    whole = shares(length, world_size, batch_size, shuffle, even)
    skip = min(skip, len(whole[0]))
    rest = shares(length, world_size, batch_size, shuffle, even, skip=skip)
    assert rest == [batches[skip:] for batches in whole]


def test_each_epoch_has_an_order_of_its_own_and_always_the_same():
    first, again, second = (shares(40, 2, 4, True, True, epoch=epoch) for epoch in (1, 1, 2))
    assert first == again != second


def test_drop_last_leaves_full_batches_only():
    assert {len(batch) for batches in shares(23, 2, 5, True, True, drop_last=True) for batch in batches} == {
        5
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_loader_leaves_the_global_generator_alone(workers):
    data = TensorDataset(torch.arange(12))
    batches = ShardBatches(12, rank=0, world_size=1, batch_size=2, shuffle=True, even=True)
    loader = sharded_loader(data, batches, {"num_workers": workers})
    before = torch.get_rng_state()
    whole = [batch[0].tolist() for batch in batches_from(loader, 4, 0, 0)]
    rest = [batch[0].tolist() for batch in batches_from(loader, 4, 2, 0)]
    assert rest == whole[2:]
    assert torch.equal(before, torch.get_rng_state())


def test_any_iterable_is_continued_by_passing_over_what_was_seen():
    assert list(batches_from([1, 2, 3, 4], 1, 3, 0)) == [4]


def test_batches_keep_their_shape_on_the_way_to_the_device():
    batch = {"x": [torch.ones(2), (torch.zeros(1), "label")], "n": 3}
    moved = to_device(batch, torch.device("cpu"))
    assert moved["n"] == 3
    assert moved["x"][1][1] == "label"
    assert isinstance(moved["x"], list)
