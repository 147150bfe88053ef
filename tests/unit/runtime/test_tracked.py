"""Tracked objects come back as they were, and a checkpoint of another model is refused by its first difference."""

import gc
import weakref

import pytest
import torch

from trainjobs.exits import ConfigError
from trainjobs.runtime.checkpoint.tracked import Tracked


def pair(width=4):
    model = torch.nn.Linear(3, width)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def stored(width=4):
    model, optimizer = pair(width)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    tracked = Tracked(None)
    tracked.add({"model": model, "optimizer": optimizer})
    return tracked.states()


def test_a_resumed_object_takes_its_state_when_it_is_tracked():
    before = stored()
    model, optimizer = pair()
    tracked = Tracked(dict(before), "run/step-1.pt")
    tracked.add({"model": model, "optimizer": optimizer})
    tracked.check_complete()
    assert torch.equal(model.weight, before["model"]["weight"])
    assert optimizer.state_dict()["state"].keys() == before["optimizer"]["state"].keys()


def test_a_checkpoint_of_another_model_is_refused_with_the_parameter_that_differs():
    model, _ = pair(width=5)
    with pytest.raises(
        ConfigError,
        match=r"run/step-1.pt is from a run of another model: bias is \(4,\) there and \(5,\) here",
    ):
        Tracked(stored(), "run/step-1.pt").add({"model": model})


def test_names_must_be_the_same_as_in_the_checkpoint():
    model, optimizer = pair()
    tracked = Tracked(stored(), "run/step-1.pt")
    tracked.add({"model": model})
    with pytest.raises(ConfigError, match="holds model, optimizer but no scheduler"):
        tracked.add({"scheduler": optimizer})
    with pytest.raises(ConfigError, match="also holds optimizer"):
        tracked.check_complete()


class Holder:
    """Of a model, perhaps."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.parametrize(
    ("track", "lacks"),
    [
        (lambda model, optimizer: {}, True),
        (lambda model, optimizer: {"optimizer": optimizer}, True),
        (lambda model, optimizer: {"average": torch.optim.swa_utils.AveragedModel(model)}, True),
        (lambda model, optimizer: {"head": model[1]}, True),
        (lambda model, optimizer: {"model": model}, False),
        (lambda model, optimizer: {"parts": torch.nn.ModuleList(model)}, False),
        (lambda model, optimizer: {"trainer": Holder()}, False),
    ],
)
def test_weights_that_train_and_are_not_tracked_are_missed(track, lacks):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tracked = Tracked(None)
    tracked.expect(model)
    tracked.add(track(model, optimizer))
    assert tracked.lacks_weights is lacks


def test_a_model_that_does_not_train_need_not_be_tracked():
    tracked = Tracked(None)
    tracked.expect(torch.nn.Linear(2, 2).requires_grad_(False))
    assert not tracked.lacks_weights


def test_what_changes_between_the_last_step_and_a_halt_in_evaluation_is_undone():
    model, optimizer = pair()
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    tracked = Tracked(None)
    tracked.add({"model": model, "optimizer": optimizer, "schedule": schedule})
    light = tracked.light_states()
    optimizer.step()
    schedule.step()
    states = tracked.states_with(light)
    assert states["schedule"]["last_epoch"] == 0
    assert states["optimizer"]["param_groups"][0]["lr"] == 0.1
    assert states["optimizer"].keys() == optimizer.state_dict().keys()
    assert states["model"].keys() == model.state_dict().keys()


def test_what_was_written_after_it_was_loaded_is_noticed_and_undone():
    model, optimizer = pair()
    tracked = Tracked(stored(), "run/step-1.pt")
    tracked.add({"model": model, "optimizer": optimizer})
    assert tracked.unchanged_since_loaded
    optimizer.param_groups[0]["lr"] = 7.0
    assert tracked.unchanged_since_loaded
    tracked.undo_light_since_loaded()
    assert optimizer.param_groups[0]["lr"] == 0.1
    optimizer.param_groups[0]["lr"] = 7.0
    tracked.undo_light_since_loaded()
    assert optimizer.param_groups[0]["lr"] == 7.0
    torch.nn.init.zeros_(model.weight)
    assert not tracked.unchanged_since_loaded


class Total:
    def __init__(self):
        self.total = torch.zeros(2)

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("loaded", [True, False])
def test_what_comes_back_amid_an_evaluation_in_inference_mode_can_be_written(taken, loaded):
    total, tracked = Total(), Tracked(None)
    tracked.add({"total": total})
    with torch.inference_mode(taken):
        light = tracked.light_states()
    with torch.inference_mode(loaded):
        tracked.load_light(light)
    total.total += 1
    assert total.total.tolist() == [1, 1]


def test_what_has_no_state_cannot_be_tracked():
    with pytest.raises(TypeError, match=r"run.track\(lr=...\): float has no state_dict"):
        Tracked(None).add({"lr": 0.1})


def test_a_loaded_state_is_in_memory_once():
    before = stored()
    weights = [weakref.ref(tensor) for tensor in before["model"].values()]
    model, optimizer = pair()
    tracked = Tracked(before, "run/step-1.pt")
    tracked.add({"model": model, "optimizer": optimizer})
    gc.collect()
    assert [weight() for weight in weights] == [None, None]
    assert before == {}


def test_an_object_can_be_tracked_again_under_its_name_and_takes_no_state_then():
    model, optimizer = pair()
    tracked = Tracked(stored(), "run/step-1.pt")
    tracked.add({"model": model, "optimizer": optimizer})
    with torch.no_grad():
        model.weight.fill_(1)
    tracked.add({"model": torch.compile(model, backend="eager")})
    tracked.check_complete()
    tracked.add({"model": model})
    assert model.weight.eq(1).all()


def test_two_objects_cannot_have_one_name():
    model, optimizer = pair()
    tracked = Tracked(None)
    tracked.add({"model": model})
    with pytest.raises(
        ValueError, match=r"run.track\(model=...\): another object is tracked under this name"
    ):
        tracked.add({"model": optimizer})


def test_nothing_new_can_be_tracked_once_the_loop_has_begun():
    model, _ = pair()
    tracked = Tracked(None)
    tracked.check_complete()
    with pytest.raises(RuntimeError, match=r"run.track\(model=...\) comes after the training loop has begun"):
        tracked.add({"model": model})
