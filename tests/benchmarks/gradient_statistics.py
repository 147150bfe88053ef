"""What it costs a step to compare the ranks' gradients, for the criteria evidence and gradientDisparity.

    python tests/benchmarks/gradient_statistics.py [--quick]

Two ranks train DDP models of several sizes on a fixed batch, whose size is calibrated to a step of about 10 ms; blocks
of 200 steps take turns: DDP as it is, the same once more (its distance from the first is noise), and with the
statistics, a drained report at the end of the block included. Told is the median over rounds of the ratio of a block to
the one without, in processor time of a rank, which other programs on the machine disturb less. Beside it stands what
the statistics take by their own clock: the processor time of the threads within the hook, the comparison and the
report, but not within the all-reduce that the hook starts in DDP's place, as a share of a step without. That has no
difference of blocks in it, and so little noise. No figure is asserted. The last line is one JSON object with all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from machine import machine, told
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from trainjobs.api.stopping import GRADIENT_DISPARITY, GRADIENT_EVIDENCE
from trainjobs.runtime.models import gradient_statistics
from trainjobs.runtime.models.gradient_statistics import GradientStatistics, Sums

RANKS = 2
STEPS = 200
"""Of an epoch."""
TARGET_MS = 10.0
WIDTHS = (100, 300, 1000)
INPUTS = 64
BOTH = (GRADIENT_DISPARITY, GRADIENT_EVIDENCE)


@dataclass(frozen=True)
class Cost:
    """Of one model: processor milliseconds of a step, and how many times as many it takes."""

    parameters: int
    step_ms: float
    control: float
    with_statistics: float
    inside: float
    """What the statistics take by their own clock, as a share of a step without them."""

    def __str__(self) -> str:
        ratios = f"{self.control:10.3f}{self.with_statistics:16.3f}"
        return f"{self.parameters:12,}{self.step_ms:10.2f}{ratios}{self.inside:12.2%}"


class Clock:
    """Adds up what calls take."""

    seconds = 0.0
    """Of processor time of the threads that make them."""

    def hold(self, owner: Any, name: str, sign: int = 1) -> None:
        """Clock a function of a class or module from now on; what is within another one is taken off by a sign."""
        call = getattr(owner, name)

        @wraps(call)
        def clocked(*arguments: Any, **others: Any) -> Any:
            begun = time.thread_time()
            try:
                return call(*arguments, **others)
            finally:
                self.seconds += sign * (time.thread_time() - begun)

        setattr(owner, name, clocked)


CLOCK = Clock()


class Training:
    """A model that is trained on one batch."""

    def __init__(self, width: int, statistics: GradientStatistics | None = None) -> None:
        torch.manual_seed(0)
        layers = [
            nn.Linear(INPUTS, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 10),
        ]
        self.model = DistributedDataParallel(nn.Sequential(*layers))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.statistics = statistics
        if statistics is not None:
            statistics.watch(self.model)

    def block_ms(self, batch: int, steps: int = STEPS) -> float:
        """Milliseconds of processor time a step."""
        x, y = torch.randn(batch, INPUTS), torch.zeros(batch, dtype=torch.long)
        begun = time.process_time()
        for _ in range(steps):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
        if self.statistics is not None:
            self.statistics.drain()
        return (time.process_time() - begun) * 1000 / steps


def calibrated(training: Training) -> int:
    """The batch size whose step lasts about as long as wished for, at least 1."""
    batch = 1
    while agreed(training.block_ms(batch, 10)) < TARGET_MS and batch < 1 << 16:
        batch *= 2
    return max(1, batch * 3 // 4)


def agreed(value: float) -> float:
    """The mean over ranks."""
    tensor = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(tensor)
    return float(tensor) / RANKS


def measured(width: int, rounds: int) -> Cost:
    variants = [Training(width), Training(width), Training(width, GradientStatistics(BOTH, RANKS))]
    batch = calibrated(variants[0])
    for each in variants:
        each.block_ms(batch, 20)
    blocks: list[list[float]] = []
    CLOCK.seconds = 0.0
    for turn in range(rounds):
        order = [(turn + i) % len(variants) for i in range(len(variants))]
        times = {i: agreed(variants[i].block_ms(batch)) for i in order}
        blocks.append([times[i] for i in range(len(variants))])
    plain, control, compared = zip(*blocks, strict=True)
    ratios = [[a / b for a, b in zip(each, plain, strict=True)] for each in (control, compared)]
    size = sum(parameter.numel() for parameter in variants[0].model.parameters())
    inside = agreed(CLOCK.seconds) * 1000 / (rounds * STEPS * statistics.median(plain))
    return Cost(size, statistics.median(plain), *(statistics.median(each) for each in ratios), inside)


def rank(number: int, place: str, rounds: int) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{place}/store", RANKS)
    dist.init_process_group("gloo", store=store, rank=number, world_size=RANKS)
    for owner, name in ((GradientStatistics, "_exchange"), (GradientStatistics, "drain"), (Sums, "compare")):
        CLOCK.hold(owner, name)
    CLOCK.hold(gradient_statistics, "allreduce_hook", -1)
    costs = [measured(width, rounds) for width in WIDTHS]
    if number == 0:
        Path(place, "costs.json").write_text(json.dumps([asdict(cost) for cost in costs]))
    dist.destroy_process_group()


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 4 if arguments.parse_args().quick else 15
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(told(before := machine()))
    with tempfile.TemporaryDirectory() as place:
        multiprocessing.spawn(rank, (place, rounds), nprocs=RANKS)
        costs = [Cost(**each) for each in json.loads(Path(place, "costs.json").read_text())]
    print(f"{'parameters':>12}{'step, ms':>10}{'control':>10}{'with statistics':>16}{'inside':>12}")
    for cost in costs:
        print(cost)
    print(json.dumps({"machine": before, "costs": [asdict(cost) for cost in costs]}))


if __name__ == "__main__":
    main()
