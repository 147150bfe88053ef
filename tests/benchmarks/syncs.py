"""How often a variant makes the host wait for the accelerator, as torch's profiler sees it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from checks import Check
from torch.profiler import ProfilerActivity, profile

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def waits_per_step(step: Callable[[], None], check: Check, steps: int = 20) -> float:
    """Calls of any of `WAITS` in one step with its check. Collective."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        for _ in range(steps):
            step()
            check()
    return sum(event.name in WAITS for event in record.events()) / steps
