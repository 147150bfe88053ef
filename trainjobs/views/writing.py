"""Lines on standard output, for people and for programs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from trainjobs.exits import StorageError
from trainjobs.views.printable import printable


def write_line(text: str, out: TextIO | None = None) -> None:
    """One line on standard output, at once. A reader that is gone gets no more lines. Raises StorageError."""
    out = out or sys.stdout
    with written(out):
        print(printable(text), file=out, flush=True)


@contextmanager
def written(out: TextIO) -> Iterator[None]:
    """A reader that is gone is no error; a disk that is full, or a terminal that is gone, is a StorageError, once."""
    try:
        yield
    except BrokenPipeError:
        silence(out)
    except OSError as error:
        silence(out)
        raise StorageError(f"writing standard output: {error.strerror or error}") from error


def silence(out: TextIO) -> None:
    """From now on nothing of what is written there arrives anywhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


@contextmanager
def outlived() -> Iterator[None]:
    """What is done here goes on without its words when the terminal or the log is gone: all is kept elsewhere too."""
    try:
        yield
    except (OSError, StorageError):
        silence(sys.__stdout__ or sys.stdout)


def write_json(document: Mapping[str, Any], out: TextIO | None = None) -> None:
    """One JSON object in one line on standard output."""
    write_line(json.dumps(document, allow_nan=False).replace("\x7f", "\\u007f"), out)
