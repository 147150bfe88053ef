"""Reading a recorded curve: a CSV file of metrics becomes a history."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainjobs.runtime.exits import DataError, user_error
from trainjobs.stopping import Observation

PLACES = ("epoch", "step", "seconds")
"""Columns that say where a row is; every other one is a metric."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The table of a CSV file, cells as text."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Line number and non-empty cells by column."""


def read_curve(path: Path) -> tuple[Observation, ...]:
    """The history in a CSV file with a header.

    Columns `epoch`, `step` and `seconds` are optional: an epoch is then the row's number, a step the epoch,
    and seconds are 0. Whole epochs that begin with 0 are counted from 1. Where some epochs have a fraction, as a
    Hugging Face log has them, 2.25 is a report amid the third epoch and 2.0 one at the end of the second. An empty
    cell is a metric that was not reported there; "nan" and "inf" are values.

    Raises:
        DataError: naming file, line and column of what cannot be read.
        NoInput: there is no such file.
    """
    sheet = _sheet(path)
    epochs = _epochs(sheet)
    history = tuple(
        _observation(sheet, line, cells, epoch)
        for epoch, (line, cells) in zip(epochs, sheet.rows, strict=True)
    )
    _check_order(sheet, "epoch", epochs)
    _check_order(sheet, "step", [seen.step for seen in history])
    _check_order(sheet, "seconds", [seen.seconds for seen in history])
    return history


def _sheet(path: Path) -> Sheet:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    lines = csv.reader(text.splitlines(), delimiter=_delimiter(text), skipinitialspace=True)
    try:
        rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{path}:{lines.line_num}: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{path}: expected a header line and at least one row of numbers")
    header = _header(path, rows[0][1])
    return Sheet(path, header, tuple(_cells(path, header, rows[1:])))


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


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


def _cells(
    path: Path, header: Sequence[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} cells, but the header has {len(header)}")
        yield line, {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}


def _observation(sheet: Sheet, line: int, cells: dict[str, str], finished: float) -> Observation:
    """A row after so many epochs. The report before anything is trained is one amid the first epoch."""
    step = _step(sheet, line, cells, math.ceil(finished))
    return Observation(
        epoch=max(1, math.ceil(finished)),
        step=step,
        seconds=_seconds(sheet, line, cells),
        metrics={
            name: _number(sheet, line, name, cell) for name, cell in cells.items() if name not in PLACES
        },
        whole=finished.is_integer() and finished > 0,
    )


def _number(sheet: Sheet, line: int, column: str, cell: str) -> float:
    if not _is_number(cell):
        raise DataError(
            f"{sheet.path}:{line}: {column}: {cell!r} is not a number; leave the cell empty or write nan"
        )
    return float(cell)


def _epochs(sheet: Sheet) -> list[float]:
    """How many epochs each row comes after, counted from 1 where they are whole."""
    given = [_epoch(sheet, line, cells) for line, cells in sheet.rows]
    whole = all(epoch is None or epoch.is_integer() for epoch in given)
    shift = 1 if whole and given[0] == 0 else 0
    return [float(number) if epoch is None else epoch + shift for number, epoch in enumerate(given, start=1)]


def _epoch(sheet: Sheet, line: int, cells: dict[str, str]) -> float | None:
    if "epoch" not in cells:
        return None
    value = _number(sheet, line, "epoch", cells["epoch"])
    if not math.isfinite(value) or value < 0:
        raise DataError(f"{sheet.path}:{line}: epoch: {cells['epoch']!r} is not a number of epochs")
    return value


def _step(sheet: Sheet, line: int, cells: dict[str, str], default: int) -> int:
    value = _number(sheet, line, "step", cells.get("step", str(default)))
    if not value.is_integer() or value < 0:
        raise DataError(f"{sheet.path}:{line}: step: {cells['step']!r} is not a number of steps")
    return int(value)


def _seconds(sheet: Sheet, line: int, cells: dict[str, str]) -> float:
    value = _number(sheet, line, "seconds", cells.get("seconds", "0"))
    if not math.isfinite(value) or value < 0:
        raise DataError(f"{sheet.path}:{line}: seconds: {cells['seconds']!r} is not a time")
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_order(sheet: Sheet, column: str, values: Sequence[float]) -> None:
    for (line, _), old, new in zip(sheet.rows[1:], values, values[1:], strict=False):
        if new < old:
            raise DataError(f"{sheet.path}:{line}: {column} goes back from {old:g} to {new:g}; sort the rows")
