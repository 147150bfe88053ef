"""Until when a TrainJob may go on as it is. Every state that is not an end has a deadline, but a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.facts import JobFacts
from trainjobs.spec import TrainJob

MARGIN_S: Final = 120
"""Seconds that the run, which watches its own progress, has more than its deadlines before the operator steps in."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, and what it means to reach it."""

    at: datetime
    reason: str
    message: str


def started(job: TrainJob, facts: JobFacts) -> bool:
    """Whether training has been heard of since the Job started last."""
    last = last_heard(job)
    return facts.start_time is not None and last is not None and last >= facts.start_time


def last_heard(job: TrainJob) -> datetime | None:
    """When the run last wrote into the status."""
    status = job.status
    if status is None:
        return None
    times = (status.start_time, status.training.last_update_time if status.training else None)
    return max((time for time in times if time is not None), default=None)


def deadlines(
    job: TrainJob, facts: JobFacts, active_s: float, running: bool, now: datetime
) -> Iterator[Deadline]:
    """Those that apply now. `active_s`: seconds of running time until now; `running`: it is counted on."""
    spec, limit = job.spec, job.spec.active_deadline_seconds
    if facts.start_time is None:
        return
    if not started(job, facts):
        yield Deadline(
            facts.start_time + timedelta(seconds=spec.startup_deadline_seconds),
            "StartupDeadlineExceeded",
            f"not all workers have started within {spec.startup_deadline_seconds} s (startupDeadlineSeconds)",
        )
    else:
        quiet_s = spec.progress_deadline_seconds + spec.startup_deadline_seconds + MARGIN_S
        last = last_heard(job) or facts.start_time
        yield Deadline(
            last + timedelta(seconds=quiet_s),
            "NoProgress",
            f"the run has said nothing for {quiet_s} s (progressDeadlineSeconds, startupDeadlineSeconds and "
            f"{MARGIN_S} s)",
        )
    if limit is not None and (running or active_s >= limit):
        yield Deadline(
            now + timedelta(seconds=max(0.0, limit - active_s)),
            "DeadlineExceeded",
            f"it has run for {limit} s (activeDeadlineSeconds)",
        )
