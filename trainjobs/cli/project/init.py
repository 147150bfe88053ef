"""Writes the first two files of a project, which train as they are."""

import re
import shlex
from importlib.resources import files
from os.path import lexists
from pathlib import Path

from trainjobs.cli.program import program
from trainjobs.exits import CannotCreate, user_error
from trainjobs.views.writing import write_line

NAMES = ("trainjob.yaml", "train.py")
"""What a project begins with; this package has a template of each."""

LONGEST_NAME = 40
"""Characters of a job's name; pods' names are longer than their job's."""


def init(directory: Path) -> None:
    """Write the files. Raises CannotCreate, and writes none, where one is there already; NoPermission, StorageError."""
    if there := [path for name in NAMES if lexists(path := directory / name)]:
        raise CannotCreate(
            f"{there[0]}: is there already, so nothing was written; name another directory, or move it aside"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            text = (files(__package__) / f"{name}.template").read_text(encoding="utf-8")
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text.replace("NAME", job_name(directory)))
            write_line(f"{directory / name}")
    except FileExistsError as error:
        raise CannotCreate(f"{directory}: is no directory; name another one") from error
    except OSError as error:
        raise user_error(error, f"writing {directory}") from error
    write_line(f"Next: {program()} run {shlex.quote(str(directory / NAMES[0]))}")


def job_name(directory: Path) -> str:
    """The directory's name as Kubernetes takes one."""
    letters = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower())
    return letters.lstrip("-0123456789")[:LONGEST_NAME].strip("-") or "first"
