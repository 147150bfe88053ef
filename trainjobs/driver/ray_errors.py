"""What Ray says of a failure, in one line: no colours, no addresses, none of its own processes' frames."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trainjobs.driver.launcher import Unstartable, WorkersFailed

PATIENCE_S: Final = 15
"""Seconds that Ray itself waits at its start, at least; what fails earlier has not failed for want of time."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"\s*\((?:pid|ip|actor_id|repr)=.*")
_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-f]+")
_DETAIL = "Worker exit detail: "
_GUESSES = " Some common causes include"


def in_a_line(error: BaseException) -> str:
    """The first line of Ray's text, and what stands below its details: the last error of a traceback, say."""
    text = _ADDRESS.sub("", _COLOUR.sub("", str(error))).strip()
    first, *rest = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    inner = [i for i, line in enumerate(rest) if line[0].isspace()]
    below = rest[inner[-1] + 1 :] if inner else rest
    return ": ".join([_PLACE.sub("", first).rstrip(" :,"), *[line.strip() for line in below[:1]]])


def failure_of_group(error: BaseException) -> WorkersFailed:
    """Why `fit()` has failed, without what wraps the cause. Ray Train's controller never comes up when what it is sent
    cannot be unpickled, however often it is tried."""
    cause = _cause(error)
    kind = Unstartable if getattr(cause, "actor_init_failed", False) else WorkersFailed
    return kind(in_a_line(cause))


def deaths_in(error: BaseException) -> Mapping[int, str]:
    """How processes of workers died, by rank; a worker whose code raised has not died."""
    from ray.exceptions import OutOfMemoryError, RayActorError

    found = {rank: _cause(failure) for rank, failure in getattr(error, "worker_failures", {}).items()}
    return {
        rank: f"died: {in_a_line(failure).rpartition(_DETAIL)[2].partition(_GUESSES)[0]}"
        for rank, failure in found.items()
        if isinstance(failure, RayActorError | OutOfMemoryError)
    }


def start_failure(error: Exception, seconds: float, sessions: Sequence[Path]) -> str:
    """Why `ray.init` has failed after so many seconds, what to do, and where Ray has written more."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > cores and seconds > PATIENCE_S
    cause = f"this machine is busy (load {load:.0f} on {cores} cores)" if busy else in_a_line(error)
    logs = "".join(f"; its logs are in {session / 'logs'}" for session in sessions[-1:])
    remedy = "try again when it is less busy" if busy else "try again"
    return f"Ray did not start within {seconds:.0f} s: {cause}; {remedy}, or take --launcher local{logs}"


def _cause(error: BaseException) -> BaseException:
    inner = next(
        (
            getattr(error, name)
            for name in ("controller_failure", "health_check_failure")
            if getattr(error, name, None) is not None
        ),
        None,
    )
    if inner is None and (failures := getattr(error, "worker_failures", None)):
        inner = failures[min(failures)]
    return error if inner is None else _cause(inner)
