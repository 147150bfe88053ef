"""Until when a TrainJob may go on as it is. Every state that is not an end has a deadline, but a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.observed_job import JobFacts
from trainjobs.api import TrainJob
from trainjobs.api.reasons import Reason

MARGIN_S: Final = 120
"""Seconds that the run, which watches its own progress, has more than its deadlines before the operator steps in."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, and what it means to reach it."""

    at: datetime
    reason: str
    message: str


def started(job: TrainJob, facts: JobFacts) -> bool:
    """Whether training has been heard of since the Job started last.

    The run's clock is not the control plane's: in the first life of a TrainJob any report will do.
    """
    last, status = last_heard(job), job.status
    if facts.start_time is None or last is None:
        return False
    first_life = status is not None and bool(status.conditions) and status.active_seconds == 0
    return first_life or last >= facts.start_time


def last_heard(job: TrainJob) -> datetime | None:
    """When the run last wrote into the status."""
    status = job.status
    if status is None:
        return None
    times = (status.start_time, status.training.last_update_time if status.training else None)
    return max((time for time in times if time is not None), default=None)


def deadlines(
    job: TrainJob,
    facts: JobFacts,
    active_s: float,
    running_since: datetime | None,
    away_since: datetime | None,
    now: datetime,
) -> Iterator[Deadline]:
    """Those that apply now.

    Args:
        active_s: seconds of running time until now.
        running_since: since when it is counted on.
        away_since: since when pods are missing of a run that had started, and it says nothing.
    """
    spec, limit = job.spec, job.spec.active_deadline_seconds
    if facts.start_time is None:
        return
    if away_since is not None:
        yield Deadline(
            away_since + timedelta(seconds=spec.startup_deadline_seconds),
            Reason.STARTUP_DEADLINE_EXCEEDED,
            f"its pods were not there again within {spec.startup_deadline_seconds} s (startupDeadlineSeconds)",
        )
    elif not started(job, facts):
        yield Deadline(
            facts.start_time + timedelta(seconds=spec.startup_deadline_seconds),
            Reason.STARTUP_DEADLINE_EXCEEDED,
            f"not all workers have started within {spec.startup_deadline_seconds} s (startupDeadlineSeconds)",
        )
    else:
        quiet_s = spec.progress_deadline_seconds + spec.startup_deadline_seconds + MARGIN_S
        signs = (last_heard(job), running_since, facts.start_time)
        yield Deadline(
            max(sign for sign in signs if sign is not None) + timedelta(seconds=quiet_s),
            Reason.NO_PROGRESS,
            f"the run has said nothing for {quiet_s} s (progressDeadlineSeconds, startupDeadlineSeconds and "
            f"{MARGIN_S} s)",
        )
    if limit is not None and (running_since is not None or active_s >= limit):
        yield Deadline(
            now + timedelta(seconds=max(0.0, limit - active_s)),
            Reason.DEADLINE_EXCEEDED,
            f"it has run for {limit} s (activeDeadlineSeconds)",
        )
