"""A worker's error as the driver and the user should read it.

What it is and where it was raised tell errors apart, never a word in their text: gloo raises a plain RuntimeError when
a peer dies, and so may a database of the user's.
"""

import importlib
import traceback
from bdb import BdbQuit
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary, TracebackException

from torch.distributed import DistError

from trainjobs.coordination import (
    ConnectionLost,
    CoordinationError,
    ExchangeMismatch,
    HaltedElsewhere,
    RankLost,
    ReportMismatch,
    RulingFailed,
)
from trainjobs.exits import Exit, UserError
from trainjobs.runs import events
from trainjobs.stopping import MissingMetric

OURS = Path(__file__).parents[2]

LONGEST_TEXT = 16_000
"""Characters of a message, and of a traceback, that an event keeps: it goes into a status and onto a screen."""
_EITHERS = ("torch.autograd.graph", "torch.nn.parallel.distributed", "torch.distributed.utils")
"""Modules that raise RuntimeError both for a peer that is gone and for a mistake in the model or in its use."""
_DATA_WORKERS = (
    ("torch.utils.data._utils.signal_handling", "handler"),
    ("torch.utils.data.dataloader", "_try_get_data"),
)
"""Where a DataLoader finds that one of its processes is dead."""


def failure_of(error: BaseException, rank: int, code: Path, *, in_foreground: bool = False) -> events.Failed:
    """The error as the user should read it: ours without frames, theirs with their own frames only.

    Whoever sits `in_foreground` may leave the training function by hand.
    """
    if isinstance(error, BdbQuit | KeyboardInterrupt) and in_foreground:
        left = "the debugger was quit" if isinstance(error, BdbQuit) else "Ctrl-C was pressed"
        return events.Failed(rank, type(error).__name__, left, "", Exit.INTERRUPTED)
    ours = isinstance(error, UserError | CoordinationError | MissingMetric)
    frames = "" if ours else users_frames(error, code)
    whose = error.rank if isinstance(error, RankLost) else rank
    message, kind = _shortened(_message(error)), type(error).__name__
    return events.Failed(whose, kind, message, _shortened(frames), int(exit_code(error)), of_peers(error))


def exit_code(error: BaseException) -> Exit:
    """What the driver makes of a worker's error: `Exit.FAILURE` is worth another attempt, the rest is the user's."""
    if isinstance(error, UserError):
        return type(error).exit_code
    if isinstance(error, MissingMetric | ReportMismatch):
        return Exit.DATA
    if isinstance(error, ExchangeMismatch):
        return Exit.USER_CODE
    if isinstance(error, CoordinationError) or _of_collective(error) or _of_data_worker(error):
        return Exit.FAILURE
    return Exit.USER_CODE


def of_peers(error: BaseException) -> bool:
    """Whether another rank may be the cause: this one, or what it was raised from, met a peer that had failed."""
    return any(_meets_peers(part) for part in _chain(error))


def _meets_peers(error: BaseException) -> bool:
    if isinstance(error, RankLost):
        return error.left
    if isinstance(
        error, ConnectionLost | ExchangeMismatch | HaltedElsewhere | RulingFailed
    ) or _of_collective(error):
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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on; `raise error from error` has made a ring."""
    seen, part = set[int](), error
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        yield part
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)


def _message(error: BaseException) -> str:
    if isinstance(error, BdbQuit):
        return "the debugger was quit, as it is where it has no terminal; --launcher inline trains one worker at yours"
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return f"sys.exit({'' if error.code is None else error.code}) was called"
    return str(TracebackException.from_exception(error))  # also where the user's own __str__ raises


def _shortened(text: str) -> str:
    """The beginning and the end of a text that is too long, and how much is missing between them."""
    half, missing = LONGEST_TEXT // 2, len(text) - LONGEST_TEXT
    if missing <= 0:
        return text
    return f"{text[:half]}\n[{missing:,} characters are left out here]\n{text[-half:]}"


def users_frames(error: BaseException, code: Path) -> str:
    """The traceback from the first frame of the user's code on, without those of this package.

    An error without a frame of the user's keeps them: it is ours, and they are what a report of it needs.
    """
    shown = TracebackException.from_exception(error)
    for part in _parts(shown):
        frames = [frame for frame in part.stack if not _is_machinery(frame)]
        own = [i for i, frame in enumerate(frames) if Path(frame.filename).is_relative_to(code)]
        if own or part is not shown or isinstance(error, SyntaxError):
            part.stack = traceback.StackSummary.from_list(frames[own[0] if own else 0 :])
    return "".join(shown.format())


def _parts(shown: TracebackException) -> Iterator[TracebackException]:
    """An exception, those that it came from, and those that it is a group of."""
    parts: list[TracebackException | None] = [shown]
    while parts:
        if (part := parts.pop()) is not None:
            parts += [part.__cause__, part.__context__, *(part.exceptions or ())]
            yield part


def _is_machinery(frame: FrameSummary) -> bool:
    """Whether a frame is this package's, or of how Python imports a module."""
    file = frame.filename
    importing = file == importlib.__file__ or file.startswith("<frozen importlib")
    return importing or Path(file).is_relative_to(OURS)
