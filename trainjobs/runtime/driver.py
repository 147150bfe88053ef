"""The driver: starts the workers through Ray Train, listens to them, and owns the outcome.

It trains nothing itself. Attempts follow each other until one ends well or the retry rule gives up; each resumes from
the newest checkpoint on the storage, which the workers find by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from trainjobs.runtime import events
from trainjobs.runtime.channel import DriverEnd, Message
from trainjobs.runtime.control import ChangeRequest, Control, InterruptRequest, Request
from trainjobs.runtime.directory import RunDirectory
from trainjobs.runtime.exits import Exit
from trainjobs.runtime.record import Record, Result
from trainjobs.runtime.retry import DIED, GiveUp, after_failure
from trainjobs.runtime.workers import Setup, Workers

if TYPE_CHECKING:
    from trainjobs.spec import TrainJob

LISTEN_INTERVAL_S = 0.05
"""How long a request may wait while no event comes."""


def train(
    job: TrainJob,
    place: RunDirectory,
    sink: Callable[[events.Event], None],
    control: Control,
    code: Path,
    workers: Workers | None = None,
) -> Result:
    """Train a job until it ends, and write its result.

    Args:
        job: the manifest.
        place: its run directory, held by the caller.
        sink: is told everything that happens, in the calling thread.
        control: requests to stop, interrupt or change; read in the calling thread.
        code: directory searched for the entrypoint's module first.
        workers: what starts worker groups. Default: Ray on this machine.
    """
    from trainjobs.runtime.ray_workers import RayWorkers

    trainer = job.spec.trainer
    record = Record(job, place, sink)
    record.take(events.Starting(trainer.num_workers, trainer.num_nodes))
    with workers or RayWorkers(trainer.num_workers) as started:
        for attempt in count(1):
            failures = _attempt(job, place, record, control, code, attempt, started)
            if not failures:
                break
            verdict = after_failure(failures, attempt, job.spec.backoff_limit)
            if isinstance(verdict, GiveUp):
                record.take(verdict.cause)
                break
            record.take(events.Restarting(attempt + 1, verdict.reason, record.checkpoint_step))
    return record.close()


def _attempt(
    job: TrainJob,
    place: RunDirectory,
    record: Record,
    control: Control,
    code: Path,
    attempt: int,
    workers: Workers,
) -> list[events.Failed]:
    """One life of the worker group, and what failed if it did not end well."""
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
    group = workers.start(setup, place.path / "ray")
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


def storage_uri(job: TrainJob, place: RunDirectory) -> str:
    """Where this run's checkpoints go: the manifest's URI with the job's name below it, or the run directory."""
    storage = job.spec.checkpoint.storage
    if storage is not None and storage.uri is not None:
        return f"{storage.uri.rstrip('/')}/{job.metadata.name}"
    return str(place.path.absolute())


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
