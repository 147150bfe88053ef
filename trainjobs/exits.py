"""How a command ends: exit codes after `sysexits.h`, and the errors that carry them.

UserError                 something the user can mend; `exit_code` says which kind
├── UsageError        64  the command line
├── DataError         65  a file that cannot be understood
├── NoInput           66  a file or run that is not there
├── UserCodeError     70  the user's own training code raised
├── CannotCreate      73  a run directory that cannot be made or is taken
├── StorageError      74  reading or writing failed: disk full, file system gone
├── NoPermission      77  not allowed to read or write there
├── ConfigError       78  a manifest that says something impossible
└── RunFailed             the training failed: `trainjobs.run` and `trainjobs.sweep` raise it with the code of the end
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, Final


class Exit(IntEnum):
    """The exit codes of `trainjobs` and of a training pod."""

    DONE = 0
    """Trained to the end, stopped early, or stopped on request."""
    FAILURE = 1
    """Our fault or the machine's: worth another attempt."""
    USAGE = 64
    """The command line is wrong."""
    DATA = 65
    """Input that cannot be understood: malformed YAML or CSV, a monitored metric that is never reported."""
    NO_INPUT = 66
    """A file or run directory that is not there."""
    GAVE_UP = 69
    """Another attempt would fail alike, or a pod's driver has used up `backoffLimit`: nobody is to try again."""
    USER_CODE = 70
    """The user's training code raised."""
    CANNOT_CREATE = 73
    """The run directory cannot be made, is no run's, or holds a run that was not asked for."""
    IO = 74
    """Reading or writing failed, for example because the disk is full."""
    INTERRUPTED = 75
    """Interrupted after a checkpoint, or before the workers had started: `--resume` continues."""
    NO_PERMISSION = 77
    """Not allowed to read or write a file."""
    CONFIG = 78
    """The manifest is readable but says something impossible."""
    KILLED = 130
    """A second Ctrl-C: left at once, without a checkpoint of the last steps."""

    @property
    def retryable(self) -> bool:
        """Whether another attempt may come to another end."""
        return self is not Exit.DONE and self not in FINAL


FINAL: Final = tuple(code for code in range(Exit.USAGE, Exit.CONFIG + 1) if code != Exit.INTERRUPTED)
"""Codes that another attempt would only repeat: all of `sysexits.h`, which are the user's to mend, but the one of an
interruption. With one of them pod 0's agent leaves, and the Job fails at once."""


class UserError(Exception):
    """Something the user can mend. `str(error)` says it all: what is wrong, the value, what to do."""

    exit_code: Exit = Exit.USAGE


class UsageError(UserError):
    """The command line is wrong."""

    exit_code = Exit.USAGE


class DataError(UserError):
    """A file that cannot be understood; the message names file and line."""

    exit_code = Exit.DATA


class NoInput(UserError):
    """A file or run directory that is not there."""

    exit_code = Exit.NO_INPUT


class UserCodeError(UserError):
    """The user's training code raised."""

    exit_code = Exit.USER_CODE


class CannotCreate(UserError):
    """A run directory that cannot be made, is taken by another process, or holds another run."""

    exit_code = Exit.CANNOT_CREATE


class StorageError(UserError):
    """Reading or writing failed: disk full, file system gone."""

    exit_code = Exit.IO


class NoPermission(UserError):
    """Not allowed to read or write a file."""

    exit_code = Exit.NO_PERMISSION


class ConfigError(UserError):
    """A manifest that is readable but says something impossible."""

    exit_code = Exit.CONFIG


class RunFailed(UserError):
    """A run or a sweep that somebody's program has begun has failed.

    Args:
        message: why, in a sentence.
        exit_code: what the command would have ended with.
        result: how far it came, as `trainjobs.run` or `trainjobs.sweep` returns it.
    """

    exit_code = Exit.FAILURE

    def __init__(self, message: str, exit_code: Exit = Exit.FAILURE, result: Any = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.result = result


def user_error(error: OSError, doing: str) -> UserError:
    """The error a user should see for one of the operating system, e.g. `doing` = "writing runs/mnist"."""
    message = f"{doing}: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        return NoInput(message)
    if isinstance(error, PermissionError):
        return NoPermission(message)
    return StorageError(message)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read `path` into the user's error."""
    try:
        yield
    except IsADirectoryError as error:
        example = min(path.glob("*.yaml"), default=path / "trainjob.yaml")
        raise UsageError(f"{path}: is a directory; name a file in it, such as {example}") from error
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
