"""The driver: starts the workers through Ray Train, listens to them, and owns the outcome.

It trains nothing itself. Attempts follow each other until one ends well or the retry rule gives up; each resumes from
the newest checkpoint on the storage, which the workers find by themselves.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from trainjobs.runtime import events
from trainjobs.runtime.channel import DriverEnd, Message
from trainjobs.runtime.control import ChangeRequest, Control, InterruptRequest, Request
from trainjobs.runtime.directory import RunDirectory
from trainjobs.runtime.exits import Exit
from trainjobs.runtime.record import Record, Result, gpus_per_node
from trainjobs.runtime.retry import DIED, GiveUp, after_failure

if TYPE_CHECKING:
    from trainjobs.runtime.worker import Setup
    from trainjobs.spec import TrainJob

LISTEN_INTERVAL_S = 0.05
"""How long a request may wait while no event comes."""

RAY_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # the default of 2 s is how late Ray notices that training ended
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a preemption reaches the run as a request to interrupt
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


def train(
    job: TrainJob, place: RunDirectory, sink: Callable[[events.Event], None], control: Control, code: Path
) -> Result:
    """Train a job on this machine until it ends, and write its result.

    Args:
        job: the manifest.
        place: its run directory, held by the caller.
        sink: is told everything that happens, in the calling thread.
        control: requests to stop, interrupt or change; read in the calling thread.
        code: directory searched for the entrypoint's module first.
    """
    trainer = job.spec.trainer
    record = Record(job, place, sink)
    record.take(events.Starting(trainer.num_workers, trainer.num_nodes))
    with _ray(trainer.num_workers):
        for attempt in count(1):
            failures = _attempt(job, place, record, control, code, attempt)
            if not failures:
                break
            verdict = after_failure(failures, attempt, job.spec.backoff_limit)
            if isinstance(verdict, GiveUp):
                record.take(verdict.cause)
                break
            record.take(events.Restarting(attempt + 1, verdict.reason, record.checkpoint_step))
    return record.close()


def _attempt(
    job: TrainJob, place: RunDirectory, record: Record, control: Control, code: Path, attempt: int
) -> list[events.Failed]:
    """One life of the worker group, and what failed if it did not end well."""
    from trainjobs.runtime.worker import Setup

    heard: SimpleQueue[tuple[int, Message | None]] = SimpleQueue()
    channel = DriverEnd("127.0.0.1", lambda rank, message: heard.put((rank, message)))
    setup = Setup(
        spec=job.spec,
        code=code,
        storage_uri=storage_uri(job, place),
        address=channel.address,
        attempt=attempt,
        launched=time.time(),
    )
    group = WorkerGroup(setup, place.path / "ray")
    failures: list[events.Failed] = []
    try:
        while not group.ended or not heard.empty():
            if (request := control.take()) is not None:
                channel.request(_message(request))
            try:
                rank, message = heard.get(timeout=LISTEN_INTERVAL_S)
            except Empty:
                continue
            event = events.from_dict(message) if message is not None else _died(rank)
            if isinstance(event, events.Failed):
                failures.append(event)
            else:
                record.take(event)
    finally:
        channel.close()
    return [*failures, _of_ray(group.error)] if group.error is not None else []


class WorkerGroup:
    """Ray Train's worker group, run in a thread so that the caller can go on listening."""

    def __init__(self, setup: Setup, ray_directory: Path) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._fit, args=(setup, ray_directory), name="fit", daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def _fit(self, setup: Setup, ray_directory: Path) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from trainjobs.runtime.worker import work

        trainer = setup.spec.trainer
        try:
            TorchTrainer(
                work,
                train_loop_config=setup,
                scaling_config=ScalingConfig(
                    num_workers=trainer.num_workers, use_gpu=gpus_per_node(trainer) > 0
                ),
                run_config=RunConfig(
                    name=f"attempt-{setup.attempt}-{int(setup.launched)}",
                    storage_path=str(ray_directory.absolute()),
                    failure_config=FailureConfig(max_failures=0),
                ),
            ).fit()
        except BaseException as error:
            self.error = error


def storage_uri(job: TrainJob, place: RunDirectory) -> str:
    """Where this run's checkpoints go: the manifest's URI with the job's name below it, or the run directory."""
    storage = job.spec.checkpoint.storage
    if storage is not None and storage.uri is not None:
        return f"{storage.uri.rstrip('/')}/{job.metadata.name}"
    return str(place.path.absolute())


@contextmanager
def _ray(workers: int) -> Iterator[None]:
    """A local Ray for as long as the run takes; one that is up already is used and left."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init(
        num_cpus=max(workers, os.cpu_count() or 1),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _message(request: Request) -> Message:
    if isinstance(request, ChangeRequest):
        return {
            "request": "change",
            "stopping": request.stopping.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }
    verb = "interrupt" if isinstance(request, InterruptRequest) else "stop"
    return {"request": verb, "reason": request.reason}


def _died(rank: int) -> events.Failed:
    message = f"the process of rank {rank} died: killed, out of memory, or crashed"
    return events.Failed(rank, DIED, message, "", Exit.FAILURE)


def _of_ray(error: BaseException) -> events.Failed:
    return events.Failed(None, type(error).__name__, str(error).strip().partition("\n")[0], "", Exit.FAILURE)
