"""Ranks do equally many batches and steps, whatever their loaders hold or claim; threads stand for ranks."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch
from fake_network import FakeNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, RandomSampler

from trainjobs.api.stopping import Stopping
from trainjobs.coordination import Coordinator, Outcome, RankLost, Vote
from trainjobs.exits import DataError
from trainjobs.runtime.data.lockstep import Lockstep
from trainjobs.stopping.panel import Panel


def each_rank(world_size, work):
    """What `work(coordinator)` returns or raises, by rank."""

    def live(communicator):
        with Coordinator(communicator, Panel.of(Stopping())) as coordinator:
            try:
                return work(coordinator)
            except Exception as error:
                coordinator.close(abandoned=True)
                return error

    network = FakeNetwork(world_size)
    with ThreadPoolExecutor(world_size) as pool:
        return list(pool.map(live, network.communicators, timeout=30))


def epoch(loaders, accumulate=1, skip=0, steps_left=None):
    """An epoch on every rank: the batches it lent, and the total it knew at the end."""

    def train(coordinator):
        loader = loaders[coordinator.rank]
        lockstep = Lockstep(loader, coordinator, rank=coordinator.rank, accumulate=accumulate)
        lents = list(lockstep.batches(1, skip, steps_left))
        coordinator.exchange(b"")
        return lents, lockstep.total

    return each_rank(len(loaders), train)


KINDS = {"certain": lambda count: list(range(count)), "stream": lambda count: iter(range(count))}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    accumulate=st.integers(1, 4),
    skipped=st.integers(0, 2),
    steps_left=st.none() | st.integers(0, 4),
)
def test_every_rank_does_the_smallest_number_of_batches_in_whole_steps(
    kind, counts, accumulate, skipped, steps_left
):
    skip = min(skipped * accumulate, min(counts) // accumulate * accumulate)
    total = min(counts)
    if steps_left is not None:
        total = min(total, skip + steps_left * accumulate)
    for lents, known in epoch([KINDS[kind](n) for n in counts], accumulate, skip, steps_left):
        assert [lent.batch for lent in lents] == list(range(skip, total))
        assert [lent.done for lent in lents] == list(range(skip + 1, total + 1))
        steps = [lent.done for lent in lents if lent.completes_step]
        assert steps == [
            done for done in range(skip + 1, total + 1) if done % accumulate == 0 or done == total
        ]
        assert known == total
        assert not any(lent.last for lent in lents[:-1])


@pytest.mark.parametrize(
    ("kind", "accumulate", "steps_left", "known"),
    [
        ("certain", 1, None, True),
        ("certain", 4, None, True),
        ("stream", 1, None, False),
        ("stream", 4, None, True),
        ("stream", 5, None, False),
        ("stream", 1, 3, True),
    ],
)
def test_the_last_batch_is_known_where_it_can_be(kind, accumulate, steps_left, known):
    for lents, _ in epoch([KINDS[kind](10), KINDS[kind](10)], accumulate, 0, steps_left):
        assert lents[-1].last is known


def test_a_step_of_fewer_batches_is_no_larger_on_the_rank_that_has_more():
    for lents, _ in epoch([iter(range(11)), iter(range(9)), iter(range(10))], accumulate=4):
        assert [lent.done for lent in lents if lent.completes_step] == [4, 8, 9]


class Short(Dataset):
    """Ends before its length does."""

    def __init__(self, there, length):
        self.there, self.length = there, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.there:
            raise StopIteration
        return index


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_certain_length_that_comes_up_short_is_told_with_both_numbers_and_no_rank_waits(world_size):
    """The last rank is short; the others go on to a meeting and learn there that it has left."""
    loaders = [DataLoader(Short(6, 6)) for _ in range(world_size - 1)] + [DataLoader(Short(4, 6))]
    *others, short = epoch(loaders)
    assert isinstance(short, DataError)
    assert f"length of 6 batches on rank {world_size - 1} and ended after 4" in str(short)
    assert [(type(error), error.rank) for error in others] == [(RankLost, world_size - 1)] * len(others)


def test_a_short_length_is_no_matter_when_another_rank_has_even_less():
    for lents, total in epoch([DataLoader(Short(4, 6)), DataLoader(Short(3, 3))]):
        assert (len(lents), total) == (3, 3)


def test_a_halt_lends_nothing_more():
    def train(coordinator):
        if coordinator.rank == 1:
            coordinator.vote(Vote(1, Outcome.STOP_REQUESTED, "enough"))
        coordinator.exchange(b"")
        lockstep = Lockstep(iter(range(5)), coordinator, rank=coordinator.rank)
        return list(lockstep.batches(1, 0, None)), lockstep.total, coordinator.halted

    assert each_rank(2, train) == [([], None, True)] * 2


def test_the_loaders_iterator_is_made_when_the_batches_are_asked_for():
    torch.manual_seed(1)
    loader = DataLoader(Short(6, 6), shuffle=True)

    def train(coordinator):
        batches = Lockstep(loader, coordinator, rank=0).batches(1, 0, None)
        drawn = torch.rand(1).item()
        list(batches)
        return drawn

    (drawn,) = each_rank(1, train)
    torch.manual_seed(1)
    iter(loader)
    assert drawn == torch.rand(1).item()


@pytest.mark.parametrize("accumulate", [0, -2])
def test_a_step_without_a_batch_is_refused(accumulate):
    with pytest.raises(ValueError, match=f"accumulate={accumulate}.*at least 1 batch"):
        Lockstep([], None, rank=0, accumulate=accumulate)


class Stateful(DataLoader):
    """As torchdata's `StatefulDataLoader`: it knows the batches it has yielded, and its next iterator goes on there."""

    def __init__(self, data, **options):
        super().__init__(data, **options)
        self.passed, self.resumes_at, self.read = 0, 0, []

    def __iter__(self):
        self.passed, self.resumes_at = self.resumes_at, 0
        for index in range(self.passed, len(self)):
            self.passed += 1
            self.read.append(index)
            yield index

    def state_dict(self):
        return {"passed": self.passed}

    def load_state_dict(self, state):
        self.resumes_at = state["passed"]


def stateful(count=10):
    return Stateful(range(count))


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("halt_after", range(1, 11))
def test_a_loader_with_a_state_goes_on_from_it_wherever_the_run_halted(accumulate, halt_after):
    """Within a step, one that was read in advance is read again from the step's beginning on."""

    def train(coordinator):
        first = Lockstep(stateful(), coordinator, rank=0, accumulate=accumulate)
        batches = first.batches(1, 0, None)
        seen = [next(batches).batch for _ in range(halt_after)]
        state = first.state()
        loader = stateful()
        second = Lockstep(loader, coordinator, rank=0, accumulate=accumulate)
        second.restore(state)
        rest = [lent.batch for lent in second.batches(1, halt_after, None)]
        return seen + rest, loader.read

    ((seen, read),) = each_rank(1, train)
    assert seen == list(range(10))
    assert read == list(range(halt_after // accumulate * accumulate if halt_after < 10 else 10, 10))


def test_a_batch_read_on_the_way_to_a_halt_is_not_passed():
    def train(coordinator):
        lockstep = Lockstep(stateful(), coordinator, rank=coordinator.rank)
        batches = lockstep.batches(1, 0, None)
        for _ in range(3):
            next(batches)
        coordinator.vote(Vote(coordinator.rank, Outcome.INTERRUPTED, "test"))
        coordinator.exchange(b"")
        assert list(batches) == []
        return lockstep.state()

    for state in each_rank(2, train):
        assert (state["batches"], state["loader"]) == (3, {"passed": 3})


def seeded():
    return torch.Generator().manual_seed(5)


REMEMBERING = {
    "its generator": lambda: DataLoader(range(8), 2, shuffle=True, generator=seeded()),
    "its sampler's generator": lambda: DataLoader(
        range(8), 2, sampler=RandomSampler(range(8), generator=seeded())
    ),
    "its generator, streaming": lambda: Dealt(8, seeded()),
    "a state": lambda: stateful(4),
    "nothing": lambda: [0, 1, 2, 3],
}


class Dealt:
    """No length, and an order from a generator of its own."""

    def __init__(self, count, generator):
        self.count, self.generator = count, generator

    def __iter__(self):
        return iter(torch.randperm(self.count, generator=self.generator).view(-1, 2))


@pytest.mark.parametrize("memory", REMEMBERING)
@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("amid", range(5))
def test_a_run_interrupted_anywhere_sees_what_the_undisturbed_one_sees(memory, epochs, amid):
    """`epochs` whole ones and `amid` batches of another, then a checkpoint, then the rest with a loader built anew."""

    def train(coordinator):
        def lockstep(state=None):
            made = Lockstep(REMEMBERING[memory](), coordinator, rank=0)
            made.restore(state)
            return made

        def batches(lockstep, epoch, skip=0):
            return (str(lent.batch) for lent in lockstep.batches(epoch, skip, None))

        undisturbed = lockstep()
        whole = [list(batches(undisturbed, epoch)) for epoch in range(1, 5)]
        first = lockstep()
        seen = [list(batches(first, epoch)) for epoch in range(1, epochs + 1)]
        if amid:
            seen.append(list(islice(batches(first, epochs + 1), amid)))
            second = lockstep(first.state())
            seen[-1] += batches(second, epochs + 1, amid)
        else:
            second = lockstep(first.state())
        seen += [list(batches(second, epoch)) for epoch in range(len(seen) + 1, 5)]
        return whole, seen

    ((whole, seen),) = each_rank(1, train)
    assert seen == whole


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_whose_steps_were_over_has_none_after_a_resume(kind):
    """One rank has batches left, which nobody may train."""

    def train(coordinator):
        def lockstep():
            return Lockstep(KINDS[kind](3 + coordinator.rank), coordinator, rank=coordinator.rank)

        first, second = lockstep(), lockstep()
        list(first.batches(1, 0, None))
        second.restore(first.state())
        return list(second.batches(1, 3, None)), second.total

    assert each_rank(2, train) == [([], 3)] * 2


def test_there_is_no_state_before_the_first_epoch():
    assert Lockstep(stateful(), None, rank=0).state() is None
