"""However a model is wrapped, its state has the model's own keys, and goes into the model wrapped otherwise."""

import copy
from itertools import permutations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parametrizations
from torch.optim.swa_utils import AveragedModel

from trainjobs.runtime.models.wrappers import load_own_state, own_state, own_weights


@pytest.fixture(scope="module", autouse=True)
def _group():
    """DDP wants a process group, of one process here."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Named(nn.Module):
    """A user's model with names that wrappers use too, in an order in which bare names would meet."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.rand(2))
        self.module = nn.Linear(2, 2)
        self._orig_mod = parametrizations.weight_norm(nn.Linear(2, 2))
        self.register_buffer("n_averaged", torch.tensor(7.0))
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self._orig_mod(self.module(x)) + self.bias)


class Pair(nn.Module):
    """A container of prepared models."""

    def __init__(self, wrap):
        super().__init__()
        self.generator, self.critic = wrap(Named()), Named()


def compiled(model):
    return torch.compile(model, backend="eager")


WRAPPERS = {"ddp": DistributedDataParallel, "compile": compiled, "average": AveragedModel}
ORDERS = [order for length in range(4) for order in permutations(WRAPPERS, length)]
ORDERS.append(("average", "average"))


def wrapped(model, order):
    for name in order:
        model = WRAPPERS[name](model)
    return model


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_weights_have_the_models_own_keys_in_every_order_of_wrappers(order):
    model = Named()
    plain = Named()
    plain.load_state_dict(own_weights(wrapped(model, order)), strict=True)
    assert same(plain.state_dict(), model.state_dict())


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_same_holds_inside_a_users_container(order):
    pair = Pair(lambda model: wrapped(model, order))
    plain = Pair(lambda model: model)
    plain.load_state_dict(own_weights(pair), strict=True)
    assert same(own_weights(pair), plain.state_dict())


@pytest.mark.parametrize(
    "later", [(), ("ddp",), ("ddp", "compile"), ("compile", "ddp"), ("compile",)], ids="-".join
)
@pytest.mark.parametrize("before", [(), ("ddp",), ("ddp", "compile"), ("compile", "ddp")], ids="-".join)
@pytest.mark.parametrize(
    "state_of", [own_state, nn.Module.state_dict], ids=["own keys", "keys with prefixes"]
)
def test_a_state_goes_into_the_model_wrapped_otherwise(state_of, before, later):
    old, new = Named(), Named()
    load_own_state(wrapped(new, later), state_of(wrapped(old, before)))
    assert same(new.state_dict(), old.state_dict())


@pytest.mark.parametrize(
    "order", [("ddp", "average"), ("compile", "average"), ("average", "average")], ids="-".join
)
@pytest.mark.parametrize(
    "state_of", [own_state, nn.Module.state_dict], ids=["own keys", "keys with prefixes"]
)
def test_a_resumed_average_goes_on_counting(state_of, order):
    model = Named()
    old, new = wrapped(model, order), AveragedModel(Named())
    old.update_parameters(old.module)
    if order == ("average", "average"):
        new = AveragedModel(new)
    load_own_state(new, state_of(old))
    assert new.n_averaged == 1
    assert same(own_state(new), own_state(old))


def test_a_state_is_not_copied_and_keeps_what_torch_adds_to_it():
    model = Named()
    state = own_state(DistributedDataParallel(model))
    assert state["bias"].data_ptr() == model.bias.data_ptr()
    assert state._metadata == model.state_dict()._metadata


def test_a_models_own_way_to_save_and_load_is_taken():
    class Adapter(nn.Linear):
        def state_dict(self):
            return {"adapter": self.bias}

        def load_state_dict(self, state):
            self.bias.data.copy_(state["adapter"])

    old, new = Adapter(1, 1), Adapter(1, 1)
    load_own_state(compiled(new), own_state(DistributedDataParallel(old)))
    assert torch.equal(new.bias, old.bias)
    assert own_weights(compiled(old)).keys() == {"adapter"}


def test_the_state_of_another_model_is_refused_also_if_only_prefixes_look_alike():
    state = {key: value for key, value in Named().state_dict().items() if key != "bias"}
    with pytest.raises(RuntimeError, match="Missing key"):
        load_own_state(DistributedDataParallel(Named()), state)


def test_buffers_and_tied_weights_go_along():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    model(torch.rand(4, 2))
    other = copy.deepcopy(model)
    other[1].reset_running_stats()
    load_own_state(compiled(other), own_state(DistributedDataParallel(model)))
    assert same(other.state_dict(), model.state_dict())
