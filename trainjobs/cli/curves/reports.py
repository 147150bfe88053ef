"""From the rows of a log to the reports of a run."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from trainjobs.stopping import Observation


@dataclass(frozen=True, slots=True)
class Row:
    """What a log says at one moment; loggers may say what belongs together in several rows."""

    metrics: Mapping[str, float]
    finished: float | None = None
    """Epochs finished by then, such as 2.25; None where the log does not count them."""
    step: int | None = None
    """Optimizer steps finished by then."""
    seconds: float = 0.0
    """Training seconds by then."""


def reports(rows: Iterable[Row], monitor: str | None) -> Iterator[Observation]:
    """The history in a log, read as it is asked for.

    A row with the metric `monitor` is a report; without `monitor` each row is. What was logged since the last report,
    or in other rows of the same moment, belongs to it. Where no row has the metric, all of them are one report, so
    that whoever looks for the metric hears which ones there are.

    In a log that counts no epochs each report ends one. Of several reports in the same epoch the last one ends it.
    """
    held: Observation | None = None
    for number, row in enumerate(_gathered(_joined(rows), monitor), start=1):
        seen = _observation(row, number)
        if held is not None:
            yield replace(held, whole=held.whole and held.epoch != seen.epoch)
        held = seen
    if held is not None:
        yield held


def _joined(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of the same moment as one, unless a metric is in both."""
    held: Row | None = None
    for row in rows:
        if held is not None and _same_moment(held, row):
            held = replace(row, metrics={**held.metrics, **row.metrics})
            continue
        if held is not None:
            yield held
        held = row
    if held is not None:
        yield held


def _same_moment(one: Row, other: Row) -> bool:
    counted = one.finished is not None or one.step is not None
    here, there = (one.finished, one.step), (other.finished, other.step)
    return counted and here == there and one.metrics.keys().isdisjoint(other.metrics)


def _gathered(rows: Iterable[Row], monitor: str | None) -> Iterator[Row]:
    """The rows with the metric, each with what came since the one before."""
    since: dict[str, float] = {}
    last: Row | None = None
    found = False
    for last in rows:
        since = {**since, **last.metrics}
        if monitor is None or monitor in last.metrics:
            yield replace(last, metrics=since)
            since, found = {}, True
    if last is not None and not found:
        yield replace(last, metrics=since)


def _observation(row: Row, number: int) -> Observation:
    """The report; the one before anything is trained is amid the first epoch."""
    finished = number if row.finished is None else row.finished
    epoch = max(1, math.ceil(finished))
    step = epoch if row.step is None else row.step
    return Observation(epoch, step, row.seconds, row.metrics, float(finished).is_integer() and finished > 0)
