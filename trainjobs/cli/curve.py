"""Reading a recorded curve: a CSV file of metrics becomes a history."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from trainjobs.exits import DataError, UsageError, user_error
from trainjobs.stopping import Observation

PLACES = ("epoch", "step", "seconds")
"""Columns that say where a row is; every other one is a metric."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The header of a CSV file: where in a row each metric is, and each place."""

    path: Path
    columns: int
    metrics: tuple[tuple[int, str], ...]
    places: dict[str, int]

    def observation(self, line: int, row: Sequence[str], finished: float) -> Observation:
        """The report in a row; the one before anything is trained is amid the first epoch."""
        epoch = max(1, math.ceil(finished))
        step = self._step(line, row, epoch)
        metrics = {
            name: self._number(line, name, cell)
            for column, name in self.metrics
            if (cell := row[column]) and not cell.isspace()
        }
        whole = finished.is_integer() and finished > 0
        return Observation(epoch, step, self._seconds(line, row), metrics, whole)

    def cell(self, row: Sequence[str], place: str) -> str:
        """What a row has in a place's column; empty where there is none."""
        column = self.places.get(place)
        return "" if column is None else row[column].strip()

    def _number(self, line: int, column: str, cell: str) -> float:
        try:
            return float(cell)
        except ValueError as error:
            raise DataError(
                f"{self.path}:{line}: {column}: {cell.strip()!r} is not a number; leave the cell empty or write nan"
            ) from error

    def finished(self, line: int, row: Sequence[str], default: int) -> float:
        """How many epochs the row comes after, as the file counts them."""
        if len(row) != self.columns:
            raise DataError(f"{self.path}:{line}: {len(row)} cells, but the header has {self.columns}")
        if not (cell := self.cell(row, "epoch")):
            return float(default)
        value = self._number(line, "epoch", cell)
        if not math.isfinite(value) or value < 0:
            raise DataError(f"{self.path}:{line}: epoch: {cell!r} is not a number of epochs")
        return value

    def _step(self, line: int, row: Sequence[str], default: int) -> int:
        if not (cell := self.cell(row, "step")):
            return default
        value = self._number(line, "step", cell)
        if not value.is_integer() or value < 0:
            raise DataError(f"{self.path}:{line}: step: {cell!r} is not a number of steps")
        return int(value)

    def _seconds(self, line: int, row: Sequence[str]) -> float:
        cell = self.cell(row, "seconds") or "0"
        value = self._number(line, "seconds", cell)
        if not math.isfinite(value) or value < 0:
            raise DataError(f"{self.path}:{line}: seconds: {cell!r} is not a time")
        return value


def read_curve(path: Path) -> Iterator[Observation]:
    """The history in a CSV file with a header, read as it is asked for.

    Columns `epoch`, `step` and `seconds` are optional: an epoch is then the row's number, a step the epoch,
    and seconds are 0. Whole epochs that begin with 0 are counted from 1. Where some epochs have a fraction, as a
    Hugging Face log has them, 2.25 is a report amid the third epoch and 2.0 one at the end of the second. An empty
    cell is a metric that was not reported there; "nan" and "inf" are values.

    Raises:
        DataError: naming file, line and column of what cannot be read.
        NoInput: there is no such file.
        UsageError: it is a pipe or a device.
    """
    rows = _rows(path)
    first = next(rows, None)
    second = next(rows, None)
    if first is None or second is None:
        raise DataError(f"{path}: expected a header line and at least one row of numbers")
    sheet = _sheet(path, first[1])
    shift = 1 if _counts_from_zero(sheet, second[1]) else 0
    before = (0.0, 0.0, 0.0)
    for number, (line, row) in enumerate(chain([second], rows), start=1):
        finished = sheet.finished(line, row, number - shift) + shift
        seen = sheet.observation(line, row, finished)
        place = (finished, seen.step, seen.seconds)
        _check_order(path, line, before, place)
        yield seen
        before = place


def _counts_from_zero(sheet: Sheet, first: Sequence[str]) -> bool:
    """Whether the epochs are numbers that begin with 0: a file with fractions says how many are finished."""
    if len(first) != sheet.columns or sheet.cell(first, "epoch") not in {"0", "0.0"}:
        return False
    rows = islice(_rows(sheet.path), 1, None)
    return all(_is_whole(sheet.cell(row, "epoch")) for _, row in rows if len(row) == sheet.columns)


def _is_whole(cell: str) -> bool:
    return not _is_number(cell) or float(cell).is_integer()


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of all rows that hold something."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(
                f"{path}: is no file that can be read twice; save the curve to one, or name a run directory"
            )
        with path.open(encoding="utf-8-sig") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            lines = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            yield from ((lines.line_num, row) for row in lines if "".join(row).strip())
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason})") from error
    except csv.Error as error:
        raise DataError(f"{path}:{lines.line_num}: {error}") from error


def _delimiter(first: str) -> str:
    return max(",;\t", key=first.count)


def _sheet(path: Path, cells: Sequence[str]) -> Sheet:
    header = _header(path, cells)
    places = {name: column for column, name in enumerate(header) if name in PLACES}
    metrics = tuple((column, name) for column, name in enumerate(header) if name not in PLACES)
    return Sheet(path, len(header), metrics, places)


def _header(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    for column, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path}:1: column {column} has no name")
        if name in names[: column - 1]:
            raise DataError(f"{path}:1: column {column}: the name {name} is used twice")
    numbers = [name for name in names if _is_number(name)]
    if numbers:
        raise DataError(f"{path}:1: expected a header of metric names, found the number {numbers[0]}")
    if not set(names) - set(PLACES):
        raise DataError(f"{path}:1: no column holds a metric, only {', '.join(names)}")
    return names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_order(path: Path, line: int, before: Sequence[float], now: Sequence[float]) -> None:
    for column, old, new in zip(PLACES, before, now, strict=True):
        if new < old:
            raise DataError(f"{path}:{line}: {column} goes back from {old:g} to {new:g}; sort the rows")
