"""Keeps the TrainJob's status up to date while the run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from trainjobs.api import TrainJob
from trainjobs.api.status import TrainJobStatus
from trainjobs.pod.status_writer import Document, StatusWriter
from trainjobs.runs import events
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.run_state import RunState, now

URGENT = (events.Started, events.Decided, events.Halted, events.Restarting, events.Failed)


class Reporter:
    """A sink of events.

    Args:
        before: the status as this driver found it.
        began: unix time since when the GPUs have been held.
        patch: merges fields into the status; may raise anything.
    """

    def __init__(
        self, job: TrainJob, before: TrainJobStatus, began: float, patch: Callable[[Document], object]
    ) -> None:
        self._job = job
        self._state = RunState.of(job.spec.stopping, length=job.spec.trainer.length)
        self._before = before
        self._began = began
        self._start_time = before.start_time
        self._failed_attempts = before.failed_attempts
        self._lock = threading.Lock()
        self._writer = StatusWriter(_document(before), self._now, patch)

    @property
    def is_training(self) -> bool:
        """Whether the workers of this attempt have started."""
        return self._state.is_training

    def __call__(self, event: events.Event) -> None:
        """Take an event."""
        with self._lock:
            self._state = self._state.after(event)
            if isinstance(event, events.Started) and self._start_time is None:
                self._start_time = now()
            if isinstance(event, events.Restarting):
                self._failed_attempts = event.failed_attempts
        self._writer.tell(urgent=isinstance(event, URGENT))

    def count_failure(self) -> int:
        """An attempt failed that this driver did not see; returns how many now count."""
        with self._lock:
            self._failed_attempts += 1
        self._writer.tell(urgent=True)
        return self._failed_attempts

    def close(self) -> None:
        """Write what is left, trying again for a minute."""
        self._writer.close()

    def _now(self) -> Document:
        with self._lock:
            return _document(self._status())

    def _status(self) -> TrainJobStatus:
        before, state = self._before, self._state
        if state.started is None:
            return before.model_copy(update={"failed_attempts": self._failed_attempts})
        told = JobStatus(self._job, state)
        gpus = self._job.spec.trainer.num_gpus
        used = before.accounting.gpu_seconds_used if before.accounting else 0.0
        attempts = (before.restarts + 1 if before.start_time else 0) + state.attempt - 1
        return TrainJobStatus(
            start_time=self._start_time,
            restarts=attempts,
            failed_attempts=self._failed_attempts,
            training=told.training(),
            stopping=told.stopping(),
            checkpoint=told.checkpoint() or before.checkpoint,
            accounting=told.accounting().model_copy(
                update={"gpu_seconds_used": round(used + gpus * (time.time() - self._began), 3)}
            ),
        )


def _document(status: TrainJobStatus) -> Document:
    """The fields that a run owns."""
    owned = {"start_time", "restarts", "failed_attempts", "training", "stopping", "checkpoint", "accounting"}
    return status.model_dump(mode="json", by_alias=True, exclude_none=True, include=owned)
