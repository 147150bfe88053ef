"""Finding the user's training function: `module:function`, beside the manifest or importable."""

import difflib
import importlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from trainjobs.exits import ConfigError

PATH = "spec.trainer.entrypoint"
_importing: list[str] = []
"""The module that is being imported for its training function."""


class _CallReached(BaseException):
    """A script that is imported has come to where it begins the run itself: what a worker needs of it stands above."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self.module = module


def end_import() -> None:
    """Where this process is a worker that imports the caller, its import is over, with what it has defined so far."""
    if _importing:
        raise _CallReached(sys.modules[_importing[-1]])


@contextmanager
def program(code: Path) -> Iterator[None]:
    """What Python gives to a program, whatever this process was started for; as before afterwards.

    Its own arguments, of which there are none; its directory first on the path; and a root logger that nobody has
    configured, or `logging.basicConfig` would do nothing.
    """
    before = sys.argv, sys.path[:]
    sys.argv = ["-m"]  # as Python does, until the module is found
    sys.path[:] = [str(code), *(path for path in sys.path if path != str(code))]
    try:
        with _no_logging():
            yield
    finally:
        sys.argv, sys.path[:] = before


@contextmanager
def apart_from_forks(code: Path) -> Iterator[None]:
    """What is forked inside ends where it would leave, as at the end of a program: the run is its parent's alone.

    Its tracebacks begin in `code`.
    """
    process, end = os.getpid(), None
    try:
        yield
    except BaseException as error:
        if os.getpid() == process:
            raise
        end = error
    if os.getpid() != process:
        _end_as_program(end, code)


def _end_as_program(error: BaseException | None, code: Path) -> NoReturn:
    from trainjobs.runtime.user_code.failures import users_frames  # imports torch, which is there by now

    exit_code = 1
    with suppress(BaseException):  # the streams may be closed, and what is printed may raise
        match error:
            case None | SystemExit(code=None):
                exit_code = 0
            case SystemExit(code=int(number)):
                exit_code = number & 0xFF
            case SystemExit(code=text):
                sys.stderr.write(f"{text}\n")
            case _:
                sys.stderr.write(users_frames(error, code))
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(exit_code)


@contextmanager
def no_input() -> Iterator[None]:
    """An input that is at its end."""
    before, kept = sys.stdin, os.dup(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor has no path, and stays open
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        sys.stdin = before


@contextmanager
def _no_logging() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)


def load(entrypoint: str, code: Path) -> Callable[[Any], object]:
    """The function that `entrypoint` names, and `sys.argv` with its module's file. `code` is searched first.

    Raises:
        ConfigError: no such module or function, or it cannot be called with the run as its one argument. An error
            that the module itself raises while it is imported is the user's own and passes through.
    """
    module_name, _, function_name = entrypoint.partition(":")
    module = _module(module_name, code, entrypoint)
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ConfigError(
            f"{PATH}: {entrypoint}: {module_name} has no function {function_name}{_nearest(function_name, names)}"
        )
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise ConfigError(
            f"{PATH}: {entrypoint}: is called with the run as its one argument, but its signature is "
            f"{function_name}{inspect.signature(function)}; write def {function_name}(run)"
        ) from None
    return function  # type: ignore[no-any-return]


def _module(name: str, code: Path, entrypoint: str) -> ModuleType:
    try:
        if (found := importlib.util.find_spec(name)) is not None:
            sys.argv = [str(found.origin)]
        _importing.append(name)
        return importlib.import_module(name)
    except _CallReached as reached:
        sys.modules[name] = reached.module  # an import that raises leaves none
        return reached.module
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        files = [path.stem for path in code.glob("*.py")]
        raise ConfigError(
            f"{PATH}: {entrypoint}: no module {name} in {code} or on the Python path{_nearest(name, files)}"
        ) from None
    finally:
        _importing.clear()


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return (
        f'; did you mean "{close[0]}"?'
        if close
        else (f"; it has {', '.join(sorted(names)[:5])}" if names else "")
    )
