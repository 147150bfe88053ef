"""A worker's error as the driver and the user should read it.

What it is and where it was raised tell errors apart, never a word in their text: gloo raises a plain RuntimeError when
a peer dies, and so may a database of the user's.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from torch.distributed import DistError

from trainjobs.coordination import (
    ConnectionLost,
    CoordinationError,
    HaltedElsewhere,
    RankLost,
    ReportMismatch,
    RulingFailed,
)
from trainjobs.runtime import events
from trainjobs.runtime.exits import Exit, UserError
from trainjobs.stopping import MissingMetric

_EITHERS = ("torch.autograd.graph", "torch.nn.parallel.distributed", "torch.distributed.utils")
"""Modules that raise RuntimeError both for a peer that is gone and for a mistake in the model or in its use."""
_DATA_WORKERS = (
    ("torch.utils.data._utils.signal_handling", "handler"),
    ("torch.utils.data.dataloader", "_try_get_data"),
)
"""Where a DataLoader finds that one of its processes is dead."""


def failure_of(error: BaseException, rank: int, code: Path) -> events.Failed:
    """The error as the user should read it: ours without frames, theirs with their own frames only."""
    ours = isinstance(error, UserError | CoordinationError | MissingMetric)
    frames = "" if ours else _users_frames(error, code)
    whose = error.rank if isinstance(error, RankLost) else rank
    kind, message = type(error).__name__, str(error)
    return events.Failed(whose, kind, message, frames, int(exit_code(error)), of_peers(error))


def exit_code(error: BaseException) -> Exit:
    """What the driver makes of a worker's error: `Exit.FAILURE` is worth another attempt, the rest is the user's."""
    if isinstance(error, UserError):
        return type(error).exit_code
    if isinstance(error, MissingMetric | ReportMismatch):
        return Exit.DATA
    if isinstance(error, CoordinationError) or _of_collective(error) or _of_data_worker(error):
        return Exit.FAILURE
    return Exit.USER_CODE


def of_peers(error: BaseException) -> bool:
    """Whether another rank may be the cause: this one, or what it was raised from, met a peer that had failed."""
    return any(_meets_peers(part) for part in _chain(error))


def _meets_peers(error: BaseException) -> bool:
    if isinstance(error, RankLost):
        return error.left
    if isinstance(error, ConnectionLost | HaltedElsewhere | RulingFailed) or _of_collective(error):
        return True
    return type(error) is RuntimeError and _raised_in(error)[0] in _EITHERS


def _of_collective(error: BaseException) -> bool:
    """Whether a collective of torch has failed. NCCL and the stores have types of their own, gloo has none."""
    module, _ = _raised_in(error)
    inside = module.startswith("torch.distributed.") and module not in _EITHERS
    return isinstance(error, DistError) or (type(error) is RuntimeError and inside)


def _of_data_worker(error: BaseException) -> bool:
    """Whether a DataLoader's process was killed. What its code raises comes from elsewhere."""
    return isinstance(error, RuntimeError) and _raised_in(error) in _DATA_WORKERS


def _raised_in(error: BaseException) -> tuple[str, str]:
    """Module and function of the innermost Python frame."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return (frames[-1].f_globals.get("__name__", ""), frames[-1].f_code.co_name) if frames else ("", "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _users_frames(error: BaseException, code: Path) -> str:
    """The traceback from the first frame outside Ray, torch's internals and this package."""
    stack = traceback.TracebackException.from_exception(error)
    own = [i for i, frame in enumerate(stack.stack) if Path(frame.filename).is_relative_to(code)]
    if own:
        stack.stack = traceback.StackSummary.from_list(stack.stack[own[0] :])
    return "".join(stack.format())
