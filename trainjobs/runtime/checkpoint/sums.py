"""Sums of tensors' bytes: whether any value was written since, without a copy and without waiting for a device."""

from collections.abc import Iterable

import torch

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers by their size in bytes."""


def sums(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Of the bytes of each, in integers: exact, and on the device where it lies. Others than dense ones have none."""
    dense = [
        tensor.detach() for tensor in tensors if tensor.layout is torch.strided and not tensor.is_quantized
    ]
    return [
        tensor.contiguous().view(-1).view(_BITS.get(tensor.element_size(), torch.uint8)).sum()
        for tensor in dense
    ]


def sums_if_any(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor] | None:
    """The same; None where a device has failed."""
    try:
        return sums(tensors)
    except RuntimeError:
        return None


def are_same(before: list[torch.Tensor] | None, now: list[torch.Tensor] | None) -> bool:
    """Whether two lists of sums are; those that could not be taken are not."""
    if before is None or now is None or len(before) != len(now):
        return False
    return all(map(torch.equal, before, now))
