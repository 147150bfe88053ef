"""What it costs to ask after every step whether to stop, and how soon a run stops when somebody asks for it.

    python tests/benchmarks/stop_overhead.py [--quick]

One run measures, on the same small DDP model in the same processes, a training step
- without a check, twice (the second is the control: its distance from the first is noise),
- with `Coordinator.poll` over `TorchCommunicator`, as the runtime uses it,
- with a blocking broadcast of a flag and `.item()`,
- with the simplest peer, an all_reduce of one number that is started after one step and read after the next,
- with Accelerate's `check_trigger`,
- with Lightning's `reduce_boolean_decision`, what its `EarlyStopping` calls,
and inside two workers of Ray Train, beside a baseline of their own,
- with `ray.train.collective.broadcast_from_rank_zero`.

Steps of about 1 ms and 10 ms (the batch size is calibrated without a check), 2 and 4 ranks. Variants take turns in
blocks of steps, in an order that lets each follow every other equally often. A step lasts from one mark to the next:
the clock's on a CPU, CUDA events in the stream on a GPU; samples of all ranks are pooled. Two variants are called
distinguishable when the bootstrap interval of the median over rounds of (median of its block - median of the block
without a check) leaves out zero; the sign test over rounds is printed beside it.

The time in the check alone is taken twice: after a step, when the step has pushed the interpreter's code and data
out of the processor's caches (an empty function costs something there too), and for poll also back to back.

Then votes: a random rank raises its hand at a random moment; measured until the last rank has halted.

On a machine with GPUs: NCCL, as many ranks as GPUs at most, and per step the calls that make the host wait for the
device. No figure is asserted. The last line is one JSON object with all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import socket
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
import torch.distributed as dist
from checks import ASYNCHRONOUS, BROADCAST, NONE, POLL, Check, broadcast_text, checks, coordinated
from figures import Spread
from interleaving import Plan, back_to_back_ns, gathered, interleaved, rows
from machine import machine, told
from ray_workers import measured_in_ray
from scenes import Scene, table
from syncs import waits_per_step
from torch import multiprocessing
from votes import latency
from workload import Workload, calibrated, workload

TARGETS_MS = (1.0, 10.0)
RESULT = "result.pickle"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    world_sizes: tuple[int, ...]
    plan: Plan
    trials: int
    in_ray: bool
    """Whether to start Ray Train too, which takes most of a minute."""


FULL = Size((2, 4), Plan(rounds=56, steps=20), trials=25, in_ray=True)
QUICK = Size((2,), Plan(rounds=6, steps=10), trials=5, in_ray=False)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run on 2 ranks without Ray: too few samples to quote"
    )
    size = QUICK if parser.parse_args(arguments).quick else FULL
    began, facts = time.monotonic(), machine("ray", "accelerate", "lightning")
    print(told(facts), flush=True)
    scenes = [scene for ranks in _world_sizes(size) for scene in _shown(_spawned(ranks, size))]
    in_ray = _in_ray(scenes, size) if size.in_ray else ()
    _shown(in_ray, place="in workers of Ray Train, with a baseline of their own")
    document = {
        "benchmark": "stop_overhead",
        "machine": facts,
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "quick": size is QUICK,
        "plan": {"rounds": size.plan.rounds, "steps_per_block": size.plan.steps},
        "clock_ns": _clock_ns(),
        "scenes": [scene.to_dict() for scene in scenes],
        "ray_train": [scene.to_dict() for scene in in_ray],
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(document))


# --- one number of ranks --------------------------------------------------------------------------------------------


def _world_sizes(size: Size) -> Sequence[int]:
    """On GPUs, no more ranks than there are."""
    gpus = torch.cuda.device_count()
    return sorted({min(ranks, gpus) for ranks in size.world_sizes}) if gpus else size.world_sizes


def _spawned(world_size: int, size: Size) -> Sequence[Scene]:
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_rank, (world_size, _free_port(), size, Path(folder)), nprocs=world_size)
        return pickle.loads((Path(folder) / RESULT).read_bytes())


def _rank(rank: int, world_size: int, port: int, size: Size, folder: Path) -> None:
    """One process: every scene of its world size."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    device = _join(rank, world_size, port)
    work = workload(device)
    with coordinated(broadcast_text) as coordinator:
        variants = checks(coordinator, device)
        scenes = []
        for target_ms in TARGETS_MS:
            fitted = calibrated(work, target_ms)
            found = rows(gathered(interleaved(fitted.step, variants, size.plan)))
            polls = Spread.of(list(chain(*gathered(back_to_back_ns(coordinator.poll)))))
            votes = latency(fitted, found[0].step_ms.median / 1000, size.trials)
            waits = _waits(fitted, variants)
            scenes.append(Scene(world_size, target_ms, len(fitted.inputs), found, polls, votes, waits))
        coordinator.halt(coordinator.step)
    if rank == 0:
        (folder / RESULT).write_bytes(pickle.dumps(scenes))
    dist.destroy_process_group()


def _waits(work: Workload, variants: Mapping[str, Check]) -> Mapping[str, float]:
    if not torch.cuda.is_available():
        return {}
    return {name: waits_per_step(work.step, variants[name]) for name in (NONE, POLL, BROADCAST, ASYNCHRONOUS)}


def _join(rank: int, world_size: int, port: int) -> torch.device:
    """This process's device, in a process group as `torchrun` would make it."""
    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_WORLD_SIZE=str(world_size),
        OMP_NUM_THREADS="1",
    )
    if not torch.cuda.is_available():
        dist.init_process_group("gloo")
        return torch.device("cpu")
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    return device


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _in_ray(scenes: Sequence[Scene], size: Size) -> Sequence[Scene]:
    """With the batch sizes of the smallest number of ranks measured before."""
    ranks = min(scene.world_size for scene in scenes)
    batches = {scene.target_ms: scene.batch for scene in scenes if scene.world_size == ranks}
    found = measured_in_ray(batches, size.plan, ranks)
    return [Scene(ranks, target, batches[target], found[target], None, None, {}) for target in batches]


def _shown(scenes: Sequence[Scene], place: str = "") -> Sequence[Scene]:
    for scene in scenes:
        print("\n".join(table(scene, place)), flush=True)
    return scenes


def _clock_ns() -> float:
    """What one reading of the clock adds to every check."""
    spans = []
    for _ in range(1000):
        began = time.perf_counter_ns()
        spans.append(time.perf_counter_ns() - began)
    return statistics.median(spans)


if __name__ == "__main__":
    main(sys.argv[1:])
