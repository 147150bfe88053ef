"""What it costs to ask after every step whether to stop, and how soon a run stops when somebody asks for it.

    python tests/benchmarks/stop_overhead.py [--quick]

One run measures, on the same small DDP model in the same processes, a training step
- without a check, twice (the second is the control: its distance from the first is noise),
- with `Coordinator.poll` over `TorchCommunicator`, as the runtime uses it,
- with a blocking broadcast of a flag and `.item()`,
- with Accelerate's `check_trigger`,
- with Lightning's `reduce_boolean_decision`, what its `EarlyStopping` calls,
and inside two workers of Ray Train, beside a baseline of their own,
- with `ray.train.collective.broadcast_from_rank_zero`.

Steps of about 1 ms and 10 ms (the batch size is calibrated without a check), 2 and 4 ranks. Variants take turns in
blocks of steps, in an order drawn anew for each round. A step lasts from one mark to the next: the clock's on a CPU,
CUDA events in the stream on a GPU; samples of all ranks are pooled. Two variants are called distinguishable when the
bootstrap interval of the median over rounds of (median of its block - median of the block without a check) leaves out
zero; the sign test over rounds is printed beside it.

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
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from checks import BROADCAST, NONE, POLL, Check, broadcast_text, checks, coordinated
from figures import Spread
from interleaving import Plan, Row, back_to_back_ns, gathered, interleaved, rows
from machine import machine, told
from ray_workers import measured_in_ray
from syncs import waits_per_step
from torch import multiprocessing
from votes import Latency, latency
from workload import Workload, calibrated, workload

TARGETS_MS = (1.0, 10.0)
BAR_MEDIAN_NS, BAR_P99_NS = 1_000, 10_000
RESULT = "result.pickle"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    world_sizes: tuple[int, ...]
    plan: Plan
    trials: int


FULL = Size((2, 4), Plan(rounds=40, steps=20), trials=25)
QUICK = Size((2,), Plan(rounds=6, steps=10), trials=5)


@dataclass(frozen=True, slots=True)
class Scene:
    """All figures of one step length on one number of ranks."""

    world_size: int
    target_ms: float
    batch: int
    rows: Sequence[Row]
    poll_ns: Spread | None
    """`poll` back to back, without training between."""
    latency: Latency | None
    """Measured, like the one above, in the spawned processes only."""
    waits: Mapping[str, float]
    """Host waits for the accelerator in one step, by variant; empty on a CPU."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "world_size": self.world_size,
            "target_ms": self.target_ms,
            "batch": self.batch,
            "variants": [row.to_dict() for row in self.rows],
            "poll_back_to_back_ns": asdict(self.poll_ns) if self.poll_ns else None,
            "vote_to_last_halt": self.latency.to_dict() if self.latency else None,
            "host_waits_per_step": dict(self.waits),
        }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run on 2 ranks: too few samples to quote"
    )
    size = QUICK if parser.parse_args(arguments).quick else FULL
    began, facts = time.monotonic(), machine("ray", "accelerate", "lightning")
    print(told(facts), flush=True)
    scenes = [scene for ranks in _world_sizes(size) for scene in _shown(_spawned(ranks, size))]
    in_ray = _shown(_in_ray(scenes, size), place="in workers of Ray Train, with a baseline of their own")
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
    return {name: waits_per_step(work.step, variants[name]) for name in (NONE, POLL, BROADCAST)}


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


# --- for people -----------------------------------------------------------------------------------------------------


def _shown(scenes: Sequence[Scene], place: str = "") -> Sequence[Scene]:
    for scene in scenes:
        print("\n".join(_lines(scene, place)), flush=True)
    return scenes


def _lines(scene: Scene, place: str) -> list[str]:
    ranks, cores = scene.world_size, len(os.sched_getaffinity(0))
    shared = f" (ranks share {cores} cores)" if ranks > cores and not torch.cuda.is_available() else ""
    title = (
        f"\n{ranks} ranks{shared}, step of about {scene.target_ms:g} ms, batch {scene.batch} {place}".rstrip()
    )
    head = (
        f"{'':34}{'step ms':>10}{'p99':>10}{'ratio':>8}{'check us':>11}{'p99':>10}"
        f"{'step with - without, us':>26}{'95 %':>20}{'sign p':>9}"
    )
    lines = [title, head, *(_line(row) for row in scene.rows), *_poll_lines(scene)]
    lines += [f"host waits a step: {scene.waits}"] if scene.waits else []
    return [*lines, _latency_line(scene.latency)] if scene.latency else lines


def _line(row: Row) -> str:
    step, check, gap = row.step_ms, row.check_ns, row.difference_us
    interval = f"[{gap.low:.1f}, {gap.high:.1f}]"
    return (
        f"{row.name:34}{step.median:10.3f}{step.p99:10.3f}{row.ratio:8.3f}"
        f"{check.median / 1000:11.2f}{check.p99 / 1000:10.2f}{gap.median:26.1f}{interval:>20}{gap.sign_p:9.3f}"
    )


def _poll_lines(scene: Scene) -> list[str]:
    found = {row.name: row for row in scene.rows}
    poll, empty = found[POLL].check_ns, found[NONE].check_ns
    lines = [
        f"poll alone, after a step: {_of(poll)}; an empty function there: {_of(empty)}, "
        f"so poll adds {poll.median - empty.median:.0f} ns"
    ]
    if scene.poll_ns:
        lines += [f"poll alone, back to back: {_of(scene.poll_ns)}"]
    differs = "distinguishable" if found[POLL].difference_us.distinguishable else "not distinguishable"
    return [*lines, f"the step with poll is {differs} from the step without"]


def _of(spread: Spread) -> str:
    met = "met" if spread.median <= BAR_MEDIAN_NS and spread.p99 <= BAR_P99_NS else "missed"
    return (
        f"median {spread.median:.0f} ns, p99 {spread.p99:.0f} ns (bars {BAR_MEDIAN_NS}, {BAR_P99_NS}: {met})"
    )


def _latency_line(found: Latency) -> str:
    steps, span = found.steps, found.milliseconds
    return (
        f"vote to last rank halted: {steps.median:g} steps, {span.median:.2f} ms (median), "
        f"{steps.maximum:g} steps, {span.maximum:.2f} ms (max) of {found.trials}; "
        f"all ranks after the same step in {found.same_step}"
    )


def _clock_ns() -> float:
    """What one reading of the clock adds to every check."""
    spans = []
    for _ in range(1000):
        began = time.perf_counter_ns()
        spans.append(time.perf_counter_ns() - began)
    return statistics.median(spans)


if __name__ == "__main__":
    main(sys.argv[1:])
