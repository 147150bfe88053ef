"""Which run a person means."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.exits import UsageError

if TYPE_CHECKING:
    from trainjobs.runs.directory import RunDirectory

RUNS = Path("runs")
"""Where runs are kept when nobody says otherwise."""


def run_at(named: Path) -> "RunDirectory":
    """The run directory at a path, or the one of that name below `runs`. Raises NoInput where there is none."""
    from trainjobs.runs.directory import RunDirectory

    for path in (named, RUNS / named):
        if (path / "sweep.yaml").is_file():
            raise UsageError(
                f"{path}: is a sweep; name one of its trials, such as {path / 'trials' / '0001'}"
            )
        if (directory := RunDirectory(path)).exists():
            return directory
    directory = RunDirectory(named)
    directory.job()  # says what is there instead
    return directory
