"""The training step that every variant is measured on: a small DDP model on a fixed batch, made to last as asked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

CPU_WIDTH = 64
"""Small, so that gradients cost little and the batch size sets the length of a step."""
CUDA_WIDTH = 2048
LARGEST_BATCH = 1 << 18
CALIBRATION_STEPS = 30


@dataclass(frozen=True, slots=True)
class Workload:
    """One rank's training step."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    inputs: torch.Tensor
    labels: torch.Tensor

    def step(self) -> None:
        """Forward, backward with the all-reduce of DDP, update."""
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.inputs), self.labels).backward()
        self.optimizer.step()

    def with_batch(self, batch: int) -> Workload:
        """The same model on `batch` samples a rank."""
        device, width = self.inputs.device, self.inputs.shape[1]
        inputs = torch.randn(batch, width, device=device)
        return replace(self, inputs=inputs, labels=torch.zeros(batch, dtype=torch.long, device=device))


def workload(device: torch.device, batch: int = 1) -> Workload:
    """In the default process group. Collective."""
    width = CUDA_WIDTH if device.type == "cuda" else CPU_WIDTH
    layers = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)]
    model = DistributedDataParallel(
        nn.Sequential(*layers).to(device), device_ids=[device] if device.type == "cuda" else None
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    return Workload(model, optimizer, torch.empty(0, width, device=device), torch.empty(0)).with_batch(batch)


def calibrated(work: Workload, target_ms: float) -> Workload:
    """The workload with the batch size whose step lasts about `target_ms`; the smallest if none is that short.

    Doubles the batch until a step is too long, then goes back between the last two. Collective.
    """
    batch, before_ms = 1, 0.0
    while batch < LARGEST_BATCH:
        now_ms = _step_ms(work.with_batch(batch))
        if now_ms >= target_ms:
            break
        batch, before_ms = 2 * batch, now_ms
    if batch == 1:
        return work.with_batch(1)
    excess = max(now_ms - target_ms, 0.0) / max(now_ms - before_ms, 1e-9)
    return work.with_batch(max(round(batch * (1 - excess / 2)), 1))


def _step_ms(work: Workload) -> float:
    """A step's length, the mean over the ranks of each one's median."""
    spans = [_timed_ms(work.step) for _ in range(CALIBRATION_STEPS)]
    mine = torch.tensor([statistics.median(spans)], device=work.inputs.device)
    dist.all_reduce(mine)
    return mine.item() / dist.get_world_size()


def _timed_ms(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - began)
