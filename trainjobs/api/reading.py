"""A status as far as it can be read.

A run writes half of it with a right that whoever is in its pods has, too; a schema lets through what no time is, and
times that are to come. Such a part is left out, so that it hides nothing else, and least of all what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from trainjobs.api.base import Location
from trainjobs.api.status import StatusPart, TrainJobStatus

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

P = TypeVar("P")


def read_status(raw: Mapping[str, Any] | None, now: datetime) -> TrainJobStatus:
    """The status in an object of the API server, without what cannot be read, and no time in it later than `now`."""
    document: Any = raw or {}
    while True:
        try:
            known = TrainJobStatus.model_validate(document, by_alias=True, by_name=False)
        except ValidationError as error:
            document = _without(document, error.errors(include_url=False, include_input=False)[0]["loc"])
        else:
            return _until(known, now)


def _without(document: Any, at: Location) -> Any:
    """A copy without the innermost part at `at` that is there: what lacks a field goes as a whole."""
    rest = deepcopy(document)
    around, parts = rest, []
    for step in at:
        if not _holds(around, step):
            break
        parts.append((around, step))
        around = around[step]
    if not parts:
        return {}
    holder, step = parts[-1]
    del holder[step]
    return rest


def _holds(around: Any, step: str | int) -> bool:
    if isinstance(around, list):
        return isinstance(step, int) and step < len(around)
    return isinstance(around, dict) and step in around


def _until(part: P, now: datetime) -> P:
    held: Any = part
    if isinstance(held, datetime):
        held = min(max(held, _EARLIEST), now)
    elif isinstance(held, tuple):
        held = tuple(_until(each, now) for each in held)
    elif isinstance(held, StatusPart):
        held = held.model_copy(update={name: _until(value, now) for name, value in held})
    result: P = held
    return result
