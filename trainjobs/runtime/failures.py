"""A worker's error as the driver and the user should read it."""

from __future__ import annotations

import traceback
from pathlib import Path

from torch.distributed import DistError

from trainjobs.coordination import CoordinationError, ReportMismatch
from trainjobs.runtime import events
from trainjobs.runtime.exits import Exit, UserError
from trainjobs.stopping import MissingMetric


def failure_of(error: BaseException, rank: int, code: Path) -> events.Failed:
    """The error as the user should read it: ours without frames, theirs with their own frames only."""
    ours = isinstance(error, UserError | CoordinationError | MissingMetric)
    frames = "" if ours else _users_frames(error, code)
    return events.Failed(rank, type(error).__name__, str(error), frames, int(exit_code(error)))


def exit_code(error: BaseException) -> Exit:
    """What the driver makes of a worker's error: `Exit.FAILURE` is worth another attempt, the rest is the user's."""
    if isinstance(error, UserError):
        return type(error).exit_code
    if isinstance(error, MissingMetric | ReportMismatch):
        return Exit.DATA
    if isinstance(error, CoordinationError | DistError) or _is_collateral(error):
        return Exit.FAILURE
    return Exit.USER_CODE


def _is_collateral(error: BaseException) -> bool:
    """Whether a collective failed because another rank did: gloo and NCCL say so in words only."""
    return isinstance(error, RuntimeError) and any(
        word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer")
    )


def _users_frames(error: BaseException, code: Path) -> str:
    """The traceback from the first frame outside Ray, torch's internals and this package."""
    stack = traceback.TracebackException.from_exception(error)
    own = [i for i, frame in enumerate(stack.stack) if Path(frame.filename).is_relative_to(code)]
    if own:
        stack.stack = traceback.StackSummary.from_list(stack.stack[own[0] :])
    return "".join(stack.format())
