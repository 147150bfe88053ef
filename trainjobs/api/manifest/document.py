"""A manifest as plain values that remember where they were written."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainjobs.api.base import Location, path_text
from trainjobs.api.manifest.problems import Problem, shown

DEEPEST = 64
"""Levels that a document may nest, so that whoever reads it need not fear for the stack."""
TOO_LARGE = "must fit in 64 bits"
"""The fault of an integer; what to do about it depends on what may stand in its place."""
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SourceLine:
    """Where a value was written: a line of a file, or an argument of the command line."""

    source: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that JSON cannot hold."""

    at: Location
    value: Any
    rule: str
    spoils: Location
    """At and below this location nothing else is worth saying."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document: what it says, and where it says so."""

    value: Any
    """Mappings, lists and scalars."""
    places: Mapping[Location, SourceLine] = field(default_factory=dict)
    """Where the value at a location was written; one without a place has that of the mapping around it."""

    problems: tuple[tuple[Location, Problem], ...] = ()
    """What was found wrong while it was read, each with its location."""

    def problem(self, at: Location, value: Any, message: str) -> Problem:
        """A problem with what the document says, or does not say, at a location."""
        place = self._place(at)
        return Problem(path_text(at), value, message, place.line, place.source)

    def get(self, key: str) -> Any:
        """The value of a top-level field; None without it."""
        return self.value.get(key) if isinstance(self.value, Mapping) else None

    def faults(self) -> list[Fault]:
        """What JSON, and so the cluster, cannot hold."""
        return list(_faults((), self.value))

    def order(self, at: Location) -> tuple[int, ...]:
        """Sorts locations as the document has them: what it does not have comes last of its mapping."""
        order: list[int] = []
        value = self.value
        for step in at:
            keys = list(map(str, value)) if isinstance(value, Mapping) else []
            here = step if isinstance(step, int) else keys.index(step) if step in keys else len(keys)
            order.append(here)
            value = _below(value, step)
        return tuple(order)

    def _place(self, at: Location) -> SourceLine:
        prefixes = (at[:end] for end in range(len(at), -1, -1))
        return next((self.places[prefix] for prefix in prefixes if prefix in self.places), SourceLine())


def _below(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return next((below for key, below in value.items() if str(key) == step), None)
    return value[step] if isinstance(value, list | tuple) and isinstance(step, int) else None


def _faults(at: Location, value: Any) -> Iterator[Fault]:
    if len(at) > DEEPEST:
        yield Fault(at, None, f"nests deeper than {DEEPEST} levels", ())
    elif isinstance(value, Mapping):
        for key, below in value.items():
            inner = (*at, str(key))
            if not isinstance(key, str):
                yield Fault(inner, None, f"a field's name must be text: put {shown(key)} in quotes", at)
            yield from _faults(inner, below)
    elif isinstance(value, list | tuple):
        for index, below in enumerate(value):
            yield from _faults((*at, index), below)
    elif rule := _fault_of_scalar(value):
        shows = value if isinstance(value, int | float) else str(value).encode(errors="replace").decode()
        yield Fault(at, shows, rule, at)


def _fault_of_scalar(value: Any) -> str | None:
    match value:
        case None | bool():
            return None
        case int():
            fits = -_LARGEST_INTEGER - 1 <= value <= _LARGEST_INTEGER
            return None if fits else TOO_LARGE
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
