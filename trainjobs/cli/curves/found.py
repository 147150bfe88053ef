"""The curves in the files and directories that a command names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainjobs.api import Length
from trainjobs.cli.curves.event_files import MARK, read_events
from trainjobs.cli.curves.reports import reports
from trainjobs.cli.curves.table import read_table, runs_in
from trainjobs.cli.curves.trainer_state import NAME, TrainerState
from trainjobs.exits import DataError, NoInput, user_error
from trainjobs.runs.directory import RunDirectory
from trainjobs.stopping import Observation

KERAS = ("train", "validation")
"""Directories that Keras' TensorBoard callback writes one run to."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A history, and the length of the run it is from where that is known."""

    history: Iterable[Observation]
    length: Length | None = None


@dataclass(frozen=True, slots=True)
class RunLog:
    """A run that somebody has logged."""

    name: str
    read: Callable[[str | None], Recorded]
    """Reads it: its reports are the rows with that metric. Raises UserError, also while the history is asked for."""


def curves(path: Path) -> tuple[RunLog, ...]:
    """The curves in a file or a directory.

    Raises:
        NoInput: there is no such file, or nothing in the directory.
        NoPermission, StorageError: it cannot be read.
    """
    if not path.is_dir():
        return tuple(_in_file(path))
    found = tuple(_below(path, set()))
    if not found:
        raise NoInput(
            f"{path}: not a run directory, and below it is no run, no CSV file, no {NAME} and no event file"
        )
    return found


def _in_file(path: Path) -> Iterator[RunLog]:
    if MARK in path.name:
        yield _of_events({"": path}, path)
    elif path.suffix == ".json":
        yield RunLog(str(path), partial(_state, path))
    elif runs := runs_in(path):
        yield from (_table(path, run) for run in runs)
    else:
        yield _table(path)


def _below(directory: Path, known: set[Path]) -> Iterator[RunLog]:
    """All that was recorded in a directory and below it; what one tool has written twice is taken once.

    `known` are directories that have been gone through: a link may lead back to one.
    """
    if (real := directory.resolve()) in known:
        return
    known.add(real)
    if RunDirectory(directory).exists():
        yield RunLog(str(directory), partial(_run, RunDirectory(directory)))
        return
    names = _names(directory)
    if (state := _newest_state(directory, names)) is not None:
        yield RunLog(str(state), partial(_state, state))
        return
    tables = [directory / name for name in names if name.endswith(".csv")]
    for table in tables:
        yield from _in_listed(table)
    if not tables and any(MARK in name for name in names):
        yield _of_events({"": directory}, directory)
    keras = {f"{name}/": directory / name for name in KERAS if _has_events(directory / name)}
    if len(keras) == len(KERAS):
        yield _of_events(keras, directory)
    for name in names:
        inner = directory / name
        if f"{name}/" not in keras and not name.startswith(".") and inner.is_dir():
            yield from _below(inner, known)


def _in_listed(table: Path) -> Iterator[RunLog]:
    """One that nobody can read is still a curve, which says so when it is read."""
    try:
        runs = runs_in(table)
    except DataError:
        runs = ()
    yield from (_table(table, run) for run in runs or (None,))


def _names(directory: Path) -> list[str]:
    """In order, numbers in names as numbers."""
    try:
        found = [inner.name for inner in directory.iterdir()]
    except OSError as error:
        raise user_error(error, f"reading {directory}") from error
    return sorted(found, key=lambda name: [part.zfill(20) for part in re.split(r"(\d+)", name)])


def _has_events(directory: Path) -> bool:
    return directory.is_dir() and any(MARK in name for name in _names(directory))


def _newest_state(directory: Path, names: Iterable[str]) -> Path | None:
    """Of the checkpoints in a Trainer's directory the one that has trained longest: each holds the whole log."""
    places = [directory, *(directory / name for name in names if name.startswith("checkpoint-"))]
    states = [place / NAME for place in places if (place / NAME).is_file()]
    return max(states, key=lambda state: _trained(state.parent.name), default=None)


def _trained(name: str) -> float:
    """Steps, by the name of a checkpoint; the Trainer's own directory is written last."""
    _, _, steps = name.rpartition("checkpoint-")
    return int(steps) if steps.isdecimal() and name != steps else float("inf")


def _table(path: Path, run: str | None = None) -> RunLog:
    name = str(path) if run is None else f"{path} ({run})"
    return RunLog(name, lambda monitor: Recorded(reports(read_table(path, run), monitor)))


def _state(path: Path, monitor: str | None) -> Recorded:
    state = TrainerState.read(path)
    return Recorded(reports(state.rows(), monitor), state.length)


def _of_events(places: Mapping[str, Path], path: Path) -> RunLog:
    return RunLog(str(path), lambda monitor: Recorded(reports(read_events(places), monitor)))


def _run(place: RunDirectory, monitor: str | None) -> Recorded:
    """A run's reports are what it has reported."""
    job = place.job()
    history = place.history()
    if not history:
        raise DataError(f"{place.path}: the run has not reported anything yet")
    return Recorded(history, job.spec.trainer.length)
