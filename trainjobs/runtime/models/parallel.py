"""A model on this worker's device, in `DistributedDataParallel` where that has something to do."""

from contextlib import ExitStack
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainjobs.runtime.models.wrappers import unwrapped

ORDERED_WITH = {"broadcast_buffers", "bucket_cap_mb", "gradient_as_bucket_view", "init_sync"}
"""Arguments of DDP with which its buckets are put in order at once. With the others it keeps its own ways."""


def prepared(
    model: torch.nn.Module, device: torch.device, world_size: int, *, settled: bool = False, **ddp: Any
) -> torch.nn.Module:
    """See `Run.prepare_model`; `settled` asks for DDP's final buckets from the first step on. Collective."""
    _check(model)
    model = model.to(device)
    if world_size == 1 or _is_parallel(model):
        return model
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return _as_on_rank_0(model)
    _check_forward(model)
    devices = [device] if device.type == "cuda" else None
    parallel = DistributedDataParallel(model, **{"device_ids": devices, **ddp})
    if (settled or world_size > 2) and ddp.keys() <= ORDERED_WITH and not _has_sparse_gradients(model):
        order_buckets(parallel)
    return parallel


def without_sync(model: torch.nn.Module) -> ExitStack:
    """Forward and backward passes in it exchange no gradients, however deep DDP lies in the model."""
    stack = ExitStack()
    for part in model.modules():
        if isinstance(part, DistributedDataParallel):
            stack.enter_context(part.no_sync())
    return stack


def order_buckets(model: DistributedDataParallel) -> None:
    """Give DDP its final buckets before the first step. Collective.

    DDP exchanges gradients in buckets. It fills them anew after the first step of a process, in the order in which
    gradients came; then three or more ranks add the same numbers in another order. A resumed run would round its first
    step otherwise than the uninterrupted one has. So we let it see an empty step in which gradients come in the order
    that they usually have, the last parameter's first, and every real step finds the same buckets.
    """
    own = model.module
    model.module = _Touched(own)
    model().backward()
    model.module = own
    for parameter in own.parameters():
        parameter.grad = None


class _Touched(torch.nn.Module):
    """A loss of 0 whose gradients come in the opposite order of the model's parameters."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self) -> torch.Tensor:
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        loss = torch.zeros((), device=parameters[0].device)
        for parameter in parameters:
            loss = loss + 0 * parameter.sum().real
        return loss


def _check(model: torch.nn.Module) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"run.prepare_model({type(model).__name__}): it takes one torch.nn.Module; call it for each model"
        )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta:
            raise ValueError(
                f"run.prepare_model: {name} is on the meta device and has no values; call "
                "model.to_empty(device=run.device) and initialise or load the weights first"
            )


def _is_parallel(model: torch.nn.Module) -> bool:
    """Whether DDP looks after every trainable parameter already. Raises ValueError if only after some."""
    inside = [part for part in model.modules() if isinstance(part, DistributedDataParallel)]
    known = {id(parameter) for part in inside for parameter in part.parameters()}
    missing = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in known
    ]
    if inside and missing:
        raise ValueError(
            f"run.prepare_model: a part of {type(unwrapped(model)).__name__} is prepared already and {missing[0]} is "
            "not; prepare every part, or the whole model and none of its parts"
        )
    return bool(inside)


def _check_forward(model: torch.nn.Module) -> None:
    own = unwrapped(model)
    if type(own).forward is torch.nn.Module.forward:
        raise TypeError(
            f"run.prepare_model: {type(own).__name__} has no forward, through which DistributedDataParallel "
            "exchanges gradients; prepare each of its parts"
        )


def _as_on_rank_0(model: torch.nn.Module) -> torch.nn.Module:
    """What DDP does at its start: every rank goes on with rank 0's values."""
    for tensor in (*model.parameters(), *model.buffers()):
        dist.broadcast(tensor.detach(), 0)
    return model


def _has_sparse_gradients(model: torch.nn.Module) -> bool:
    kinds = torch.nn.Embedding | torch.nn.EmbeddingBag
    return any(isinstance(part, kinds) and part.sparse for part in model.modules())
