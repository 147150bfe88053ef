"""A manifest as plain values that remember where they were written."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainjobs.spec.base import Location, path_text
from trainjobs.spec.errors import Problem, shown

_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a line of a file, or an argument of the command line."""

    source: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One document: what it says, and where it says so."""

    value: Any
    """Mappings, lists and scalars."""
    places: Mapping[Location, Place] = field(default_factory=dict)
    """Where the value at a location was written; one without a place has that of the mapping around it."""

    problems: tuple[Problem, ...] = ()
    """What was found wrong while it was read."""

    def problem(self, at: Location, value: Any, message: str) -> Problem:
        """A problem with what the document says, or does not say, at a location."""
        place = self._place(at)
        return Problem(path_text(at), value, message, place.line, place.source)

    def get(self, key: str) -> Any:
        """The value of a top-level field; None without it."""
        return self.value.get(key) if isinstance(self.value, Mapping) else None

    def faults(self) -> list[tuple[Location, Problem]]:
        """What JSON, and so the cluster, cannot hold, each with the location that it spoils."""
        found = _faults((), self.value)
        return [(fault.spoils, self.problem(fault.at, fault.value, fault.rule)) for fault in found]

    def _place(self, at: Location) -> Place:
        prefixes = (at[:end] for end in range(len(at), -1, -1))
        return next((self.places[prefix] for prefix in prefixes if prefix in self.places), Place())


@dataclass(frozen=True, slots=True)
class _Fault:
    at: Location
    value: Any
    rule: str
    spoils: Location


def _faults(at: Location, value: Any) -> Iterator[_Fault]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            inner = (*at, str(key))
            if not isinstance(key, str):
                yield _Fault(inner, None, f"a field's name must be text: put {shown(key)} in quotes", at)
            yield from _faults(inner, below)
    elif isinstance(value, list | tuple):
        for index, below in enumerate(value):
            yield from _faults((*at, index), below)
    elif rule := _fault_of_scalar(value):
        shows = value if isinstance(value, int | float) else str(value).encode(errors="replace").decode()
        yield _Fault(at, shows, rule, at)


def _fault_of_scalar(value: Any) -> str | None:
    match value:
        case None | bool():
            return None
        case int():
            fits = -_LARGEST_INTEGER - 1 <= value <= _LARGEST_INTEGER
            return None if fits else "must fit in 64 bits: write it as text or as 1e20"
        case float():
            return None if math.isfinite(value) else "must be a finite number: JSON has no NaN or infinity"
        case str():
            return (
                None if value.isascii() or _is_unicode(value) else "must be valid Unicode, without surrogates"
            )
        case _:
            return f"must be text, a number, true, false or null, not a Python {type(value).__name__}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
