"""`prepare_model` gives DDP what it can train, leaves the rest, and refuses what cannot work by name and remedy."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trainjobs.runtime.models.parallel import order_buckets, prepared, without_sync

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _group():
    """A group of one process; `prepared` is told of more."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def prepare(model, world_size=2, **ddp):
    return prepared(model, CPU, world_size, **ddp)


def compiled(model):
    return torch.compile(model, backend="eager")


class Container(nn.Module):
    """A user's module whose parts train."""

    def __init__(self, generator, critic):
        super().__init__()
        self.generator, self.critic = generator, critic


@pytest.mark.parametrize(
    "frozen",
    [
        nn.Linear(2, 2).requires_grad_(False),
        compiled(nn.Linear(2, 2).requires_grad_(False)),
        nn.BatchNorm1d(2, affine=False),
        nn.ReLU(),
        nn.ModuleList([nn.Linear(2, 2).requires_grad_(False)]),
    ],
    ids=["teacher", "compiled teacher", "buffers alone", "nothing", "list"],
)
def test_a_model_with_nothing_to_train_is_not_wrapped(frozen):
    assert prepare(frozen) is frozen


def test_a_partly_frozen_model_is_wrapped():
    model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    wrapped = prepare(model)
    wrapped(torch.ones(1, 2)).sum().backward()
    assert isinstance(wrapped, DistributedDataParallel)
    assert model[1].weight.grad is not None


def test_one_worker_needs_no_ddp():
    model = nn.Linear(2, 2)
    assert prepare(model, world_size=1) is model


@pytest.mark.parametrize(
    "model",
    [
        lambda: DistributedDataParallel(nn.Linear(2, 2)),
        lambda: compiled(DistributedDataParallel(nn.Linear(2, 2))),
        lambda: Container(prepare(nn.Linear(2, 2)), prepare(nn.Linear(2, 1))),
        lambda: Container(prepare(nn.Linear(2, 2)), nn.Linear(2, 1).requires_grad_(False)),
    ],
    ids=["ddp", "compiled ddp", "prepared parts", "a prepared and a frozen part"],
)
def test_what_is_prepared_already_stays_as_it_is(model):
    model = model()
    assert prepare(model) is model


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (nn.Linear(2, 2, device="meta"), ValueError, "weight is on the meta device"),
        (
            [nn.Linear(2, 2)],
            TypeError,
            r"prepare_model\(list\): it takes one torch.nn.Module; call it for each",
        ),
        (
            nn.ModuleList([nn.Linear(2, 2)]),
            TypeError,
            "ModuleList has no forward, .* prepare each of its parts",
        ),
        (Container(nn.Linear(2, 2), nn.Linear(2, 2)), TypeError, "Container has no forward"),
    ],
    ids=["meta", "list", "module list", "no forward"],
)
def test_what_cannot_work_is_refused_with_what_to_do(model, error, message):
    with pytest.raises(error, match=message):
        prepare(model)


def test_a_model_prepared_in_part_is_refused():
    with pytest.raises(ValueError, match=r"a part of Container is prepared already and critic.weight is not"):
        prepare(Container(prepare(nn.Linear(2, 2)), nn.Linear(2, 2)))


@pytest.mark.parametrize("world_size", [2, 3])
def test_arguments_of_ddp_reach_it(world_size):
    wrapped = prepare(nn.Linear(2, 2), world_size, find_unused_parameters=True, bucket_cap_mb=3)
    assert wrapped.find_unused_parameters
    assert prepare(nn.Linear(2, 2), world_size, static_graph=True).static_graph


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        compiled,
        lambda model: Container(model, nn.Linear(1, 1)),
        lambda model: compiled(Container(compiled(model), model)),
    ],
    ids=["ddp", "compiled", "container", "compiled container"],
)
def test_gradients_are_not_exchanged_however_deep_ddp_lies(wrap):
    ddp = prepare(nn.Linear(2, 2))
    with without_sync(wrap(ddp)):
        assert not ddp.require_backward_grad_sync
    assert ddp.require_backward_grad_sync


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)),
        nn.Linear(2, 2, dtype=torch.bfloat16),
        nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64), nn.Linear(2, 2)),
        compiled(nn.Linear(2, 2)),
    ],
    ids=["buffers", "bfloat16", "complex", "compiled"],
)
def test_the_empty_step_that_orders_buckets_leaves_no_trace(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    wrapped = DistributedDataParallel(model)
    order_buckets(wrapped)
    assert wrapped.module is model
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_sparse_gradients_are_left_to_ddp():
    model = nn.EmbeddingBag(4, 2, sparse=True)
    wrapped = prepare(model, world_size=3)
    wrapped(torch.tensor([[0, 1]])).sum().backward()
    assert model.weight.grad.is_sparse
