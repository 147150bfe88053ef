"""A run's events among the lines of a log: what `events.jsonl` has is there too, for who can read nothing but the log.

Each is a line of JSON after a mark; what ranks print has their number before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from trainjobs.api.pod_contract import EVENT_MARK
from trainjobs.exits import DataError
from trainjobs.runs.codec import EVENTS, dated
from trainjobs.runs.directory import parsed_line
from trainjobs.runs.events import Event, Printed, Progress


def log_line(event: Event) -> str | None:
    """The line of an event that happens now; None for what the log has anyway, or what is not kept."""
    if isinstance(event, Printed | Progress):
        return None
    return EVENT_MARK + json.dumps(dated(event), allow_nan=False)


def logged(lines: Iterable[str], damaged: Callable[[DataError], object]) -> Iterator[tuple[float, Event]]:
    """The events of a log with their unix times. What cannot be read is passed over: a line that its writer's death
    has cut, or that another version has written.

    Args:
        damaged: called with the error of each, which names the line.
    """
    for number, line in enumerate(lines, start=1):
        if line.startswith(EVENT_MARK):
            try:
                yield parsed_line(line.removeprefix(EVENT_MARK).encode(), _dated_event, f"line {number}")
            except DataError as error:
                damaged(error)


def _dated_event(document: dict[str, Any]) -> tuple[float, Event]:
    if not math.isfinite(when := float(document["time"])):
        raise ValueError(f"no time: {when}")
    return when, EVENTS.from_dict(document)
