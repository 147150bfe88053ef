"""The variants that exist only inside a worker group of Ray Train, measured there beside a baseline of their own."""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from checks import coordinated, ray_checks
from interleaving import Plan, Row, gathered, interleaved, rows
from workload import workload

RESULT = "rows.pickle"
SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # only how late the end is noticed
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray's default of 15 would let everything else on the machine go first
}


@dataclass(frozen=True, slots=True)
class Task:
    """What every worker is told."""

    batches: Mapping[float, int]
    """Samples a rank, by the step's target in milliseconds."""
    plan: Plan
    folder: Path


def measured_in_ray(batches: Mapping[float, int], plan: Plan, workers: int) -> Mapping[float, Sequence[Row]]:
    """The figures by target, from `workers` workers of one `TorchTrainer`."""
    os.environ.update(SETTINGS)
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _fit(Task(batches, plan, Path(folder)), workers)
            return pickle.loads((Path(folder) / RESULT).read_bytes())
    finally:
        ray.shutdown()


def _fit(task: Task, workers: int) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        _work,
        train_loop_config=task,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=torch.cuda.is_available()),
        run_config=RunConfig(storage_path=str(task.folder)),
    ).fit()


def _work(task: Task) -> None:
    from ray.train.collective import broadcast_from_rank_zero
    from ray.train.torch import get_device

    torch.set_num_threads(1)
    work = workload(get_device())
    with coordinated(broadcast_from_rank_zero) as coordinator:
        checks = ray_checks(coordinator)
        found = {}
        for target_ms, batch in task.batches.items():
            found[target_ms] = rows(gathered(interleaved(work.with_batch(batch).step, checks, task.plan)))
        coordinator.halt(coordinator.step)
    if coordinator.rank == 0:
        (task.folder / RESULT).write_bytes(pickle.dumps(found))
