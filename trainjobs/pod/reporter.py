"""Keeps the TrainJob's status up to date while the run goes on, no faster than needed and never in the run's way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainjobs.api import TrainJob
from trainjobs.api.status import TrainJobStatus
from trainjobs.runs import events
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.run_state import RunState, now

log = logging.getLogger(__name__)

Document = dict[str, Any]

INTERVAL_S: Final = 5.0
"""Seconds between two writes, but for what somebody waits for."""
LAST_WRITE_S: Final = 60.0
"""How long an API server that does not answer is asked to take the last write."""
URGENT: Final = (events.Started, events.Decided, events.Halted, events.Restarting, events.Failed)


class Reporter:
    """A sink of events; writes in a thread of its own.

    Args:
        before: the status as this driver found it.
        began: unix time since when the GPUs have been held.
        patch: merges fields into the status; may raise anything.
    """

    def __init__(
        self, job: TrainJob, before: TrainJobStatus, began: float, patch: Callable[[Document], object]
    ) -> None:
        self._job = job
        self._state = RunState.of(job.spec.stopping)
        self._before = before
        self._began = began
        self._patch = patch
        self._start_time = before.start_time
        self._failed_attempts = before.failed_attempts
        self._written = _document(before)
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

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
        self._tell(urgent=isinstance(event, URGENT))

    def count_failure(self) -> int:
        """An attempt failed that this driver did not see; returns how many now count."""
        with self._lock:
            self._failed_attempts += 1
        self._tell(urgent=True)
        return self._failed_attempts

    def close(self) -> None:
        """Write what is left, trying again for a minute."""
        self._over = True
        self._tell(urgent=True)
        self._thread.join()

    def _tell(self, *, urgent: bool) -> None:
        self._news.set()
        if urgent:
            self._hurry.set()

    def _run(self) -> None:
        while not self._over:
            self._news.wait()
            self._news.clear()
            self._hurry.clear()
            self._write()
            if not self._over:  # the hurry of that may have come before it was forgotten
                self._hurry.wait(INTERVAL_S)
        deadline = time.monotonic() + LAST_WRITE_S
        while not self._write() and time.monotonic() < deadline:
            time.sleep(1)

    def _write(self) -> bool:
        with self._lock:
            document = _document(self._status())
        if not (fields := difference(self._written, document)):
            return True
        try:
            self._patch(fields)
        except Exception as error:  # the run is worth more than its status
            log.warning("the status was not written: %s", str(error).partition("\n")[0])
            self._news.set()
            return False
        self._written = document
        return True

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


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`."""
    patch: Document = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := difference(before, value):
                patch[name] = inner
        elif value != before:
            patch[name] = value
    return patch
