"""What differs between ranks is kept of each rank, or the user is told that it is not."""

import threading

import pytest
import torch
from torch import nn

from trainjobs.exits import DataError
from trainjobs.runtime.checkpoint import rank_states
from trainjobs.runtime.checkpoint.rank_states import RankStates


class Ranks:
    """Threads in place of ranks, with an exchange between them."""

    def __init__(self, size):
        self.warnings = []
        self._size = size
        self._barrier = threading.Barrier(size)
        self._payloads = [b""] * size
        self._states = [
            RankStates(self._of(rank), self._warn if rank == 0 else lambda _: None) for rank in range(size)
        ]

    def save(self, *tracked):
        """Every rank's objects; returns what each hands over, or the error it ends with."""

        def save(rank):
            states = {name: thing.state_dict() for name, thing in tracked[rank].items()}
            return self._states[rank].apart(tracked[rank], states)

        return self._on_all(save)

    def save_buffers(self, *models):
        """The same of every rank's own buffers."""
        return self._on_all(
            lambda rank: self._states[rank].apart_buffers({"model": models[rank].state_dict()})
        )

    def _on_all(self, act):
        results = [None] * self._size

        def run(rank):
            try:
                results[rank] = act(rank)
            except DataError as error:
                results[rank] = error

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(self._size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _warn(self, message):
        self.warnings.append(message)

    def _of(self, rank):
        def exchange(payload):
            self._payloads[rank] = payload
            self._barrier.wait(30)
            everybody = tuple(self._payloads)
            self._barrier.wait(30)
            return everybody

        return exchange


class Holding:
    """A tracked object of the user's."""

    def __init__(self, **state):
        self.state = state

    def state_dict(self):
        return self.state


def test_a_state_that_is_the_same_everywhere_is_handed_over_by_nobody():
    ranks = Ranks(3)
    assert ranks.save(*[{"seen": Holding(n=4, order=torch.arange(3), text="a")} for _ in range(3)]) == [
        {},
        {},
        {},
    ]


def test_ranks_that_differ_from_rank_0_hand_over_theirs():
    ranks = Ranks(3)
    assert ranks.save(*[{"seen": Holding(n=n), "same": Holding(n=1)} for n in (4, 5, 4)]) == [
        {},
        {"seen": {"n": 5}},
        {},
    ]
    assert ranks.warnings == []


@pytest.mark.parametrize("failing", [0, 1])
def test_a_state_that_cannot_be_packed_ends_every_rank_with_the_same_sentence(failing):
    tracked = [{"seen": Holding(n=1)}, {"seen": Holding(n=1)}]
    tracked[failing]["seen"].state["n"] = threading.Lock()
    first, second = Ranks(2).save(*tracked)
    assert str(first) == str(second)
    assert str(first).startswith(f"rank {failing}: the state of seen cannot be saved: ")


def test_what_is_too_large_is_rank_0s_and_told_once(monkeypatch):
    monkeypatch.setattr(rank_states, "LIMIT_BYTES", 1000)
    ranks = Ranks(2)
    for _ in range(3):
        assert ranks.save(*[{"replay": Holding(x=torch.full((500,), n))} for n in (1.0, 2.0)]) == [{}, {}]
    (warning,) = ranks.warnings
    assert warning.startswith("replay is not the same on every rank and takes more than")


def test_a_large_state_that_is_the_same_everywhere_is_no_matter(monkeypatch):
    monkeypatch.setattr(rank_states, "LIMIT_BYTES", 1000)
    ranks = Ranks(2)
    assert ranks.save(*[{"replay": Holding(x=torch.ones(500))} for _ in range(2)]) == [{}, {}]
    assert ranks.warnings == []


def linear(fill):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.fill_(fill)
        model.bias.zero_()
    return model


def momentum(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    next(iter(optimizer.state.values()))["momentum_buffer"].add_(model.weight.detach().sum())
    return optimizer


def normalizer(mean):
    module = nn.BatchNorm1d(2, affine=False)
    module.running_mean.fill_(mean)
    return module


@pytest.mark.parametrize(
    "make",
    [linear, lambda n: momentum(linear(n)), lambda n: nn.Sequential(linear(0), linear(n))],
    ids=["weights", "optimizer", "one of two layers"],
)
def test_models_and_optimizers_that_ranks_train_apart_are_rank_0s_and_told_once(make):
    ranks = Ranks(2)
    tracked = [{"mine": make(n)} for n in (1.0, 2.0)]
    assert [ranks.save(*tracked), ranks.save(*tracked)] == [[{}, {}], [{}, {}]]
    (warning,) = ranks.warnings
    assert warning.startswith("mine is not the same on every rank; checkpoints hold rank 0's")


def test_buffers_of_its_own_are_handed_over_by_each_rank(monkeypatch):
    ranks = Ranks(3)
    ranks.save(*[{"model": normalizer(n)} for n in (1.0, 2.0, 1.0)])
    handed = ranks.save_buffers(*[normalizer(n) for n in (1.0, 2.0, 1.0)])
    assert [list(own) for own in handed] == [[], ["model"], []]
    assert handed[1]["model"]["running_mean"].tolist() == [2.0, 2.0]
    assert ranks.warnings == []
    monkeypatch.setattr(rank_states, "LIMIT_BYTES", 10)
    ranks = Ranks(2)
    ranks.save(*[{"model": normalizer(n)} for n in (1.0, 2.0)])
    assert ranks.save_buffers(normalizer(1.0), normalizer(2.0)) == [{}, {}]
    (warning,) = ranks.warnings
    assert warning.startswith("what model holds in buffers is not the same on every rank and takes more than")


def test_statistics_of_batch_norm_beside_the_same_weights_are_no_matter():
    models = [nn.BatchNorm1d(2) for _ in range(2)]
    models[1].running_mean.fill_(5.0)
    ranks = Ranks(2)
    ranks.save(*[{"model": model} for model in models])
    assert ranks.warnings == []


@pytest.mark.parametrize("absent", [0, 1])
def test_what_only_some_ranks_track_is_told_once(absent):
    ranks = Ranks(2)
    tracked = [{"seen": Holding(n=1)}, {"seen": Holding(n=1)}]
    del tracked[absent]["seen"]
    ranks.save(*tracked)
    assert ranks.save(*tracked) == [{}, {}]
    (warning,) = ranks.warnings
    assert warning.startswith(f"rank {absent} does not track seen")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int64, torch.complex64, torch.float64])
def test_weights_of_every_kind_are_compared(dtype):
    class Module(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.x = nn.Parameter(torch.tensor(value).to(dtype), requires_grad=False)

    ranks = Ranks(2)
    ranks.save({"m": Module(0)}, {"m": Module(1)})
    assert len(ranks.warnings) == 1
