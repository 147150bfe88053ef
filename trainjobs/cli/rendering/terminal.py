"""Where output goes, and how a user's mistake is told."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from trainjobs.exits import Exit, UserError
from trainjobs.views.printable import printable
from trainjobs.views.writing import written

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from trainjobs.api.manifest import SpecError


class Output(StrEnum):
    """How results are written to standard output."""

    TEXT = "text"
    JSON = "json"


def console() -> "Console":
    """Standard output: as wide as the terminal, else 80 columns; colour on a terminal without NO_COLOR."""
    from trainjobs.cli.rendering.console import Printing

    return Printing(highlight=False, markup=False, emoji=False)


def show(parts: "Sequence[RenderableType]") -> None:
    """Write to standard output. In a pipe sentences stay on one line, and no line ends in blanks.

    A `Text` that is not to be wrapped is left to the terminal to break, so that it can be copied in one piece.
    """
    from rich.text import Text

    out = console()
    with written(sys.stdout):
        for part in parts:
            if out.is_terminal:
                out.print(part, soft_wrap=isinstance(part, Text) and bool(part.no_wrap))
                continue
            with out.capture() as captured:
                out.print(part, soft_wrap=isinstance(part, Text))
            out.file.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
        out.file.flush()


def tidy() -> None:
    """Give the terminal its colours and its cursor back, before the process is gone without any clean-up."""
    with suppress(OSError):  # there is no terminal any more
        os.write(1, b"\x1b[0m\x1b[?25h\n")


def say(text: str) -> None:
    """One plain line on standard error, as long as somebody can hear it."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def mistakes_told() -> Iterator[None]:
    """Tell a user's mistake on standard error and leave with its exit code, without a traceback."""
    try:
        yield
    except typer.Exit:
        raise
    except UserError as error:
        say(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.KILLED) from None
    except Exception as error:
        from trainjobs.api.manifest import SpecError  # not before: a quarter of a second

        if not isinstance(error, SpecError):
            raise
        for problem in error.problems:
            say(f"error: {problem}")
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: "SpecError") -> Exit:
    """65 for a file that is no YAML at all, 78 for one that says something impossible, 64 where only --set does."""
    from trainjobs.api.manifest import UnreadableError

    if all(problem.of_command_line for problem in error.problems):
        return Exit.USAGE
    return Exit.DATA if isinstance(error, UnreadableError) else Exit.CONFIG
