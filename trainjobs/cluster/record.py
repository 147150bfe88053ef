"""A run directory of what a TrainJob's log tells, so that whatever reads a run of one machine reads this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from trainjobs.api.manifest import parse
from trainjobs.api.reasons import ConditionType, Reason, RunOutcome
from trainjobs.api.status import clipped
from trainjobs.cluster.conditioned import Conditioned
from trainjobs.cluster.trainjob import ClusterTrainJob
from trainjobs.exits import CannotCreate, Exit, NoInput
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Event, Failed, Starting
from trainjobs.runs.log_lines import logged
from trainjobs.runs.run_state import added_up

_WITHOUT_PODS: Final = {Reason.SUSPENDED, Reason.QUEUED}
_LONGEST: Final = 300
"""Characters that are told of a line that cannot be read."""


def written(
    found: ClusterTrainJob, log: Iterable[str], directory: RunDirectory, missing: Callable[[str], object]
) -> RunDirectory:
    """The directory, made of a TrainJob and its log. Raises NoInput, CannotCreate, SpecError.

    Args:
        missing: called with a sentence about each thing that the log does not tell.
    """
    if directory.names():
        raise CannotCreate(f"{directory.path}: holds files already; name another directory")
    name = found.key.name

    unread = 0

    def damaged(error: Exception) -> None:
        nonlocal unread
        unread += 1
        if unread == 1:
            missing(f"log of {name}: {clipped(str(error), _LONGEST)}; it is passed over")

    happened = list(logged(log, damaged))
    if unread > 1:
        missing(f"log of {name}: {unread:,} lines in all are passed over")
    if not happened:
        raise NoInput(
            f"the log of {name} has no events: it is {found.state}, or its image is of an earlier version"
        )
    if not isinstance(happened[0][1], Starting):
        missing(f"the log of {name} has lost its beginning: a node keeps the latest part of a log only")
    directory.create()
    directory.write_job(parse({**found.raw, "status": None}))
    for when, event in happened:
        directory.keep(event, when)
    state = _state(found)
    if state == RunOutcome.FAILED and added_up(event for _, event in happened).failure is None:
        # what only the operator knows, such as a deadline
        directory.append_event(_failure(found), happened[-1][0])
    directory.write_result({"name": name, "state": state})
    return directory


def gone(found: ClusterTrainJob, error: NoInput) -> NoInput:
    """The error of a log that is not there, with what there is instead."""
    saved = found.status.checkpoint
    where = [f"its checkpoint of step {saved.step:,} is {saved.uri}{_on_claim(found)}"] if saved else []
    later = [] if found.ended else ["its next pod tells every report from the first on"]
    return NoInput("; ".join([str(error), *where, *later]))


def folder_of(found: Conditioned) -> str:
    """The folder in its storage that is this object's, as its pods choose it."""
    return f"{found.key.name}-{found.uid[:8]}"


def _state(found: ClusterTrainJob) -> str:
    if found.ended:
        return found.state if found.exit_code is Exit.DONE else RunOutcome.FAILED
    return RunOutcome.INTERRUPTED if found.state in _WITHOUT_PODS else ConditionType.RUNNING


def _failure(found: ClusterTrainJob) -> Event:
    return Failed(None, found.state, found.message, "", Exit.FAILURE)


def _on_claim(found: ClusterTrainJob) -> str:
    storage: Any = found.raw["spec"].get("checkpoint", {}).get("storage", {})
    return f" on the claim {storage['claimName']}" if storage.get("claimName") else ""
