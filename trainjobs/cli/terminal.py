"""Where output goes, and how a user's mistake is told."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trainjobs.runtime.exits import Exit, UserError, user_error

if TYPE_CHECKING:
    from rich.console import Console

    from trainjobs.spec import SpecError


class Output(StrEnum):
    """How results are written to standard output."""

    TEXT = "text"
    JSON = "json"


def console() -> "Console":
    """Standard output, as wide as the terminal; 80 columns in a pipe. No colour with NO_COLOR or in a pipe."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """One plain line on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def write_json(document: Mapping[str, Any]) -> None:
    """One JSON object in one line on standard output."""
    print(json.dumps(document, allow_nan=False), flush=True)  # noqa: T201


@contextmanager
def mistakes_told() -> Iterator[None]:
    """Tell a user's mistake in its own words on standard error and leave with its exit code, without a traceback."""
    from trainjobs.spec import SpecError
    from trainjobs.stopping import MissingMetric

    try:
        yield
    except UserError as error:
        say(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except SpecError as error:
        say(str(error))
        raise typer.Exit(exit_code(error)) from None
    except MissingMetric as error:
        say(f"error: {error}")
        raise typer.Exit(Exit.DATA) from None


def exit_code(error: "SpecError") -> Exit:
    """65 for a file that is no YAML at all, 78 for one that says something impossible."""
    unreadable = any(not problem.path and "not YAML" in problem.message for problem in error.problems)
    return Exit.DATA if unreadable else Exit.CONFIG


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read `path` into the user's error."""
    try:
        yield
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
