"""The small states come back as they were at the moment they were taken, also by way of a checkpoint."""

import random

import pytest
import torch

from trainjobs.runtime.checkpoint.snapshot import Snapshot
from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.meters import Meters

CPU = torch.device("cpu")


class Schedule:
    """Something small of a user's, such as a schedule of learning rates."""

    def __init__(self):
        self.epoch, self.rates = 1, [0.4]

    def state_dict(self):
        return vars(self)

    def load_state_dict(self, state):
        vars(self).update(state)


class World:
    """A worker's tracked objects and sums of metrics."""

    def __init__(self):
        self.model, self.schedule = torch.nn.Linear(2, 1), Schedule()
        self.tracked, self.meters = Tracked(None), Meters()
        self.tracked.add({"model": self.model, "schedule": self.schedule})
        self.meters.add("loss", (3.0, 2))

    def snapshot(self):
        return Snapshot.take(self.tracked, self.meters, CPU)

    def go_on(self):
        """Everything small changes, and a weight."""
        self.schedule.epoch += 1
        self.schedule.rates.append(0.2)
        self.meters.add("loss", (5.0, 1))
        with torch.no_grad():
            self.model.weight.fill_(7.0)
        return random.random(), torch.rand(1).item()

    def small(self):
        return self.schedule.epoch, tuple(self.schedule.rates), self.meters.state()


def as_it_is(snapshot):
    return snapshot


def as_a_checkpoint_holds_it(snapshot):
    return Snapshot.from_dict(snapshot.to_dict())


@pytest.mark.parametrize("kept", [as_it_is, as_a_checkpoint_holds_it])
def test_what_is_small_goes_on_from_where_it_was_and_weights_stay(kept):
    world = World()
    before, snapshot = world.small(), kept(world.snapshot())
    drawn = world.go_on()
    assert world.small() != before
    snapshot.restore(world.tracked, world.meters, CPU)
    assert world.small() == before
    assert torch.equal(world.model.weight, torch.full((1, 2), 7.0))
    assert world.go_on() == drawn


def test_a_snapshot_is_of_its_moment_whatever_comes_later():
    world = World()
    snapshot = world.snapshot()
    world.go_on()
    assert snapshot.meters == {"meters": {"loss": (3.0, 2.0)}, "without data": False}
    assert snapshot.objects == {"schedule": {"epoch": 1, "rates": [0.4]}}


def test_a_checkpoint_holds_it_by_these_names():
    assert set(World().snapshot().to_dict()) == {"objects", "randomness", "meters", "without data"}
