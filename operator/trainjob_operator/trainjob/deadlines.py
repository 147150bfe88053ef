"""Until when a TrainJob may go on as it is. Every state that is not an end has a deadline, but a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.observation.observed import Valid
from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjob_operator.trainjob.status_fields import active_s, running_since
from trainjobs.api.reasons import Reason
from trainjobs.api.status import TrainJobStatus

MARGIN_S: Final = 120
"""Seconds that the run, which watches its own progress, has more than its deadlines before the operator steps in."""

_FAR_S: Final = 10**9
"""Seconds with which one can reckon: anybody may write any deadline into a Job."""
SILENCE_S: Final = 600
"""Seconds without a word of a run, at most, after which what it needs to write its status is looked at."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, and what it means to reach it."""

    at: datetime
    reason: str
    message: str


def started(status: TrainJobStatus, job: ObservedJob) -> bool:
    """Whether training has been heard of since the Job started last.

    The run's clock is not the control plane's: in the first life of a TrainJob any report will do.
    """
    last = last_heard(status)
    if job.start_time is None or last is None:
        return False
    first_life = bool(status.conditions) and status.active_seconds == 0
    return first_life or last >= job.start_time


def last_heard(status: TrainJobStatus) -> datetime | None:
    """When the run last wrote into the status."""
    times = (status.start_time, status.training.last_update_time if status.training else None)
    return max((time for time in times if time is not None), default=None)


def deadlines(observed: Valid, job: ObservedJob, disrupted_since: datetime | None) -> Iterator[Deadline]:
    """Those that apply now.

    Args:
        observed: the TrainJob.
        job: its Job.
        disrupted_since: since when pods are missing of a run that had started, and it says nothing.
    """
    if job.start_time is None:
        return
    spec, limit = observed.trainjob.spec, observed.trainjob.spec.active_deadline_seconds
    if disrupted_since is not None:
        yield Deadline(
            disrupted_since + timedelta(seconds=spec.startup_deadline_seconds),
            Reason.STARTUP_DEADLINE_EXCEEDED,
            f"its pods were not there again within {spec.startup_deadline_seconds} s (startupDeadlineSeconds)",
        )
    elif not started(observed.status, job):
        yield Deadline(
            job.start_time + timedelta(seconds=spec.startup_deadline_seconds),
            Reason.STARTUP_DEADLINE_EXCEEDED,
            f"not all workers have started within {spec.startup_deadline_seconds} s (startupDeadlineSeconds)",
        )
    else:
        yield _progress_deadline(observed, job.start_time)
    running_s = active_s(observed)
    if limit is not None and (running_since(observed.status) is not None or running_s >= limit):
        yield Deadline(
            observed.now + timedelta(seconds=max(0.0, limit - running_s)),
            Reason.DEADLINE_EXCEEDED,
            f"it has run for {limit} s (activeDeadlineSeconds)",
        )
    if spec.stop is not None and job.deadline_s is not None and job.has_stop_deadline:
        left_s = min(max(0.0, job.deadline_s - job.lived_s(observed.now)), _FAR_S)
        yield Deadline(
            observed.now + timedelta(seconds=left_s),
            Reason.DEADLINE_EXCEEDED,
            f"it did not stop within {longest_stop_s(observed)} s of being asked to, and was ended",
        )


def longest_stop_s(observed: Valid) -> int:
    """Seconds that a run which is asked to stop has: for a start, for the step or evaluation that it is in, and for
    what its function does after the halt; its own watchdog gives the latter two `progressDeadlineSeconds` each."""
    spec = observed.trainjob.spec
    return spec.startup_deadline_seconds + 2 * spec.progress_deadline_seconds + MARGIN_S


def _progress_deadline(observed: Valid, start_time: datetime) -> Deadline:
    silence_s = _longest_silence_s(observed)
    return Deadline(
        _last_sign(observed, start_time) + timedelta(seconds=silence_s),
        Reason.NO_PROGRESS,
        f"the run has said nothing for {silence_s} s (progressDeadlineSeconds, startupDeadlineSeconds and "
        f"{MARGIN_S} s)",
    )


def silent_from(observed: Valid, start_time: datetime) -> datetime:
    """When a run that goes on saying nothing is looked at, well before its deadline: it may not be let."""
    return _last_sign(observed, start_time) + timedelta(
        seconds=min(SILENCE_S, _longest_silence_s(observed) / 2)
    )


def _longest_silence_s(observed: Valid) -> int:
    spec = observed.trainjob.spec
    return spec.progress_deadline_seconds + spec.startup_deadline_seconds + MARGIN_S


def _last_sign(observed: Valid, start_time: datetime) -> datetime:
    signs = (last_heard(observed.status), running_since(observed.status), start_time)
    return max(sign for sign in signs if sign is not None)
