"""A status as far as it can be read.

A run writes half of it with a right that whoever is in its pods has, too; a schema lets through what no time is, and
times that are to come. Such a part is left out, so that it hides nothing else, and least of all what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from trainjobs.api.base import Location
from trainjobs.api.status import StatusPart, TrainJobStatus
from trainjobs.api.sweep_status import TrainSweepStatus

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(hours=1)
"""As far may a node's clock be ahead."""
_SIGNS: Final = ("start_time", "last_update_time")
"""Times by which a run shows that it lives. One far ahead would say so for ever: it counts as long past."""

P = TypeVar("P")
S = TypeVar("S", bound=StatusPart)


def read_status(raw: Mapping[str, Any] | None, now: datetime) -> TrainJobStatus:
    """The status in a TrainJob of the API server, without what cannot be read, and no time in it later than `now`; a
    sign of life that is an hour later is none."""
    return _read(TrainJobStatus, raw, now)


def read_sweep_status(raw: Mapping[str, Any] | None, now: datetime) -> TrainSweepStatus:
    """The same of a TrainSweep."""
    return _read(TrainSweepStatus, raw, now)


def _read(kind: type[S], raw: Mapping[str, Any] | None, now: datetime) -> S:
    document: Any = raw or {}
    while True:
        try:
            known = kind.model_validate(document, by_alias=True, by_name=False)
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


def _sign(name: str, value: Any, now: datetime) -> Any:
    is_far_ahead = name in _SIGNS and value is not None and value > now + _AHEAD
    return _EARLIEST if is_far_ahead else value


def _until(part: P, now: datetime) -> P:
    held: Any = part
    if isinstance(held, datetime):
        held = min(max(held, _EARLIEST), now)
    elif isinstance(held, tuple):
        held = tuple(_until(each, now) for each in held)
    elif isinstance(held, StatusPart):
        held = held.model_copy(update={name: _until(_sign(name, value, now), now) for name, value in held})
    result: P = held
    return result
