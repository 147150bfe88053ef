"""CSV files: our own, Lightning's, Keras', Ultralytics', and what W&B exports."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

from trainjobs.cli.curves.reports import Row
from trainjobs.exits import DataError, UsageError, user_error

PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "epoch": ("epoch", "train/epoch"),
    "step": ("step", "trainer/global_step", "train/global_step", "_step", "Step"),
    "seconds": ("seconds", "_runtime"),
}
"""Columns that say where a row is, by the names that loggers give them, the first before the next."""
_BOOKKEEPING: Final = frozenset(("_timestamp", *(name for names in PLACES.values() for name in names)))
"""Columns that are no metric."""
_CHART: Final = ("__MIN", "__MAX")
"""How W&B ends the names of the two columns beside each in a chart that is exported."""
_NO_NUMBER: Final = re.compile(r'\s*(NA|"\[.*\]")?\s*')
"""A cell without a metric: empty, or by Keras' CSVLogger one that was not computed, or that is a list."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The header of a CSV file: where in a row each metric is, and each place."""

    path: Path
    columns: int
    metrics: tuple[tuple[int, str], ...]
    places: dict[str, int]
    lenient: bool = False
    """Texts in cells are no metrics, rather than mistakes: W&B logs pictures and tables beside numbers."""

    def row(self, line: int, cells: Sequence[str], finished: float | None) -> Row:
        """The metrics and the place in a row."""
        metrics = {
            name: self._number(line, name, cell)
            for column, name in self.metrics
            if not _NO_NUMBER.fullmatch(cell := cells[column]) and not (self.lenient and not _is_number(cell))
        }
        return Row(metrics, finished, self._step(line, cells), self._seconds(line, cells))

    def cell(self, row: Sequence[str], place: str) -> str:
        """What a row has in a place's column; empty where there is none."""
        column = self.places.get(place)
        return "" if column is None else row[column].strip()

    def _number(self, line: int, column: str, cell: str) -> float:
        try:
            return float(cell)
        except ValueError as error:
            point = cell.strip().replace(",", ".")
            remedy = (
                f"write it with a point, as {point}"
                if _is_number(point)
                else "leave the cell empty or write nan"
            )
            raise DataError(
                f"{self.path}:{line}: {column}: {cell.strip()!r} is not a number; {remedy}"
            ) from error

    def finished(self, line: int, row: Sequence[str]) -> float | None:
        """How many epochs the row comes after, as the file counts them; None where it does not say."""
        if len(row) != self.columns:
            raise DataError(f"{self.path}:{line}: {len(row)} cells, but the header has {self.columns}")
        if not (cell := self.cell(row, "epoch")):
            return None
        value = self._number(line, "epoch", cell)
        if not math.isfinite(value) or value < 0:
            raise DataError(f"{self.path}:{line}: epoch: {cell!r} is not a number of epochs")
        return value

    def _step(self, line: int, row: Sequence[str]) -> int | None:
        if not (cell := self.cell(row, "step")):
            return None
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


def read_table(path: Path, run: str | None = None) -> Iterator[Row]:
    """The rows of a CSV file with a header, read as they are asked for.

    The columns of `PLACES` are optional. Whole epochs that begin with 0 are counted from 1. Where some epochs have a
    fraction, as a Hugging Face log has them, 2.25 is a row amid the third epoch and 2.0 one at the end of the second.
    An empty cell, and what Keras writes for one, is a metric that was not logged there; "nan" and "inf" are values.

    Args:
        path: of the file.
        run: one of `runs_in` the file.

    Raises:
        DataError: naming file, line and column of what cannot be read.
        NoInput: there is no such file.
        UsageError: it is a pipe or a device.
    """
    rows = _rows(path)
    first, second = next(rows, None), next(rows, None)
    if first is None or second is None:
        raise DataError(f"{path}: expected a header line and at least one row of numbers")
    sheet = _sheet(path, first[1], run)
    shift = 1 if _counts_from_zero(sheet, second[1]) else 0
    before = (0.0, 0.0, 0.0)
    for line, cells in chain([second], rows):
        finished = sheet.finished(line, cells)
        epoch = before[0] if finished is None else finished
        row = sheet.row(line, cells, epoch + shift)
        place = (epoch, before[1] if row.step is None else row.step, row.seconds)
        _check_order(path, line, before, place)
        yield row if "epoch" in sheet.places else Row(row.metrics, None, row.step, row.seconds)
        before = place


def runs_in(path: Path) -> tuple[str, ...]:
    """Names of the runs in a chart that W&B has exported, a column each; none for any other file."""
    first = next(_rows(path), None)
    return tuple(dict.fromkeys(run for run, _ in _charted(first[1] if first else ()).values()))


def _charted(cells: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Run and metric by the columns of an exported chart."""
    names = [cell.strip() for cell in cells]
    if not any(name.endswith(_CHART) for name in names):
        return {}
    parts = {column: name.rpartition(" - ") for column, name in enumerate(names) if not name.endswith(_CHART)}
    return {column: (run, metric) for column, (run, _, metric) in parts.items() if run}


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
    unquoted = re.sub('"[^"]*"', "", first)
    return max(",;\t", key=unquoted.count)


def _sheet(path: Path, cells: Sequence[str], run: str | None) -> Sheet:
    header = _header(path, cells)
    places = {
        place: header.index(name)
        for place, aliases in PLACES.items()
        if (name := next((alias for alias in aliases if alias in header), None)) is not None
    }
    if "seconds" not in places and "time" in header and any(name.startswith("metrics/") for name in header):
        places["seconds"] = header.index("time")  # Ultralytics
    if run is not None:
        metrics = {column: metric for column, (of, metric) in _charted(cells).items() if of == run}
    else:
        taken = {*places.values(), *(i for i, name in enumerate(header) if name in {"", *_BOOKKEEPING})}
        metrics = {column: name for column, name in enumerate(header) if column not in taken}
    if not metrics:
        raise DataError(f"{path}:1: no column holds a metric, only {', '.join(header)}")
    lenient = run is not None or not _BOOKKEEPING.isdisjoint(name for name in header if name[:1] == "_")
    return Sheet(path, len(header), tuple(metrics.items()), places, lenient)


def _header(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns; the first one has none where pandas has written its index."""
    names = tuple(cell.strip() for cell in cells)
    for column, name in enumerate(names, start=1):
        if not name and column > 1:
            raise DataError(f"{path}:1: column {column} has no name")
        if name in names[: column - 1]:
            raise DataError(f"{path}:1: column {column}: the name {name} is used twice")
    numbers = [name for name in names if _is_number(name)]
    if numbers:
        raise DataError(f"{path}:1: expected a header of metric names, found the number {numbers[0]}")
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
            raise DataError(
                f"{path}:{line}: {column} goes back from {old:g} to {new:g}; sort the rows, or if another run "
                "begins there give it a file of its own"
            )
