"""How what crosses to another process, or stays in a file, looks as JSON: one object with its class's name.

Numbers that JSON cannot hold are the strings "nan", "inf" and "-inf". What is read may have been written by anybody:
each field is what its annotation says, or the whole is refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, Union, get_args

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from trainjobs.runs.events import Event
from trainjobs.runs.requests import Request
from trainjobs.stopping import Observation

T = TypeVar("T")


class Codec(Generic[T]):
    """Values of a union of dataclasses as objects of JSON, told apart by the name of their class.

    Args:
        union: the dataclasses.
        tag: the key under which the name is.
    """

    def __init__(self, union: Any, tag: str) -> None:
        self._kinds = get_args(union)
        self._tag = tag

    def to_dict(self, value: T) -> dict[str, Any]:
        """The value as JSON holds it."""
        parts = self._adapter.dump_python(value, by_alias=True, exclude_unset=True, warnings=False)
        return {self._tag: type(value).__name__, **jsonable(parts)}

    def from_dict(self, document: Mapping[str, Any]) -> T:
        """The value that `to_dict` wrote. Keys that it does not have (such as `time`) are passed over.

        Raises ValueError, TypeError, KeyError or AttributeError for anything else.
        """
        try:
            return self._adapter.validate_python(document)
        except ValidationError as error:
            raise ValueError(_first(error)) from None

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        """Built when it is needed: it takes some milliseconds."""
        tagged = [Annotated[kind, Tag(kind.__name__)] for kind in self._kinds]
        kind = Discriminator(self._name, "kind", f"no {self._tag} of this name")
        union: Any = Annotated[Union[tuple(tagged)], kind]  # noqa: UP007 - of a tuple
        return TypeAdapter(union)

    def _name(self, value: Any) -> str | None:
        """Of the kind of a document, or of a value."""
        return value.get(self._tag) if isinstance(value, dict) else type(value).__name__


EVENTS: Codec[Event] = Codec(Event, "event")
REQUESTS: Codec[Request] = Codec(Request, "request")


def dated(event: Event, unix_time: float | None = None) -> dict[str, Any]:
    """An event as JSON with its unix `time` in seconds, now by default."""
    at = time.time() if unix_time is None else unix_time
    return {"time": round(at, 3), **EVENTS.to_dict(event)}


def _first(error: ValidationError) -> str:
    """Where the first trouble is, and what, in one line."""
    trouble = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, (".".join(map(str, trouble["loc"])), trouble["msg"])))


def jsonable(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind of value
    """`value` with tuples as lists, keys as strings, and numbers that JSON cannot hold as strings."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(part) for part in value]
    if isinstance(value, Observation):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    return value
