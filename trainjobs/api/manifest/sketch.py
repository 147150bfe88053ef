"""Rules between fields, asked of a manifest that has other faults too.

Pydantic asks a model's rules only once all its fields are valid, so a person would learn of the faults in rounds. Here
what is valid of a mapping becomes a sketch of its model, an instance without the attributes that are not; every rule is
asked of it, and one that reads a missing attribute has nothing to say.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trainjobs.api.base import Location
from trainjobs.api.fields import is_list, models_in, names_in, nearest


def broken_rules(kind: type[BaseModel], found: Any, at: Location = ()) -> list[ErrorDetails]:
    """What the rules of a model, and of those inside it, say of a mapping that is no valid one."""
    if not isinstance(found, Mapping):
        return []
    below = [
        fault
        for name, field in kind.model_fields.items()
        for place, inner, value in _inside(field, found.get(field.alias or name), (*at, field.alias or name))
        for fault in broken_rules(inner, value, place)
    ]
    own = () if None in _meant(kind, found) else _asked(_sketch(kind, found), found, at)
    return [*below, *own]


def _inside(field: FieldInfo, value: Any, at: Location) -> Iterator[tuple[Location, type[BaseModel], Any]]:
    """The mappings of a field that are models, each with its place and type."""
    many = is_list(field.annotation)
    if many != isinstance(value, list | tuple):
        return
    for kind in models_in(field.annotation):
        yield from (((*at, i), kind, item) for i, item in enumerate(value)) if many else [(at, kind, value)]


def _asked(model: BaseModel, found: Any, at: Location) -> Iterator[ErrorDetails]:
    """The rules' answers as pydantic gives them."""
    for validator in type(model).__pydantic_decorators__.model_validators.values():
        if validator.info.mode != "after":
            continue
        try:
            cast(Any, validator.func)(model)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                each["loc"] = (*at, *each["loc"])
                yield each
        except ValueError as error:
            yield {
                "type": "value_error",
                "loc": at,
                "input": found,
                "msg": str(error),
                "ctx": {"error": error},
            }
        except (AttributeError, LookupError):  # it reads what is not valid
            continue


def _meant(kind: type[BaseModel], found: Mapping[str, Any]) -> set[str | None]:
    """The fields that misspelt names were meant for; None among them for a name that may be meant for any."""
    names = tuple(names_in(kind))
    return {nearest(str(key), names) for key in found if key not in names}


def _sketch(kind: type[BaseModel], found: Mapping[str, Any]) -> BaseModel:
    """The model without what is not valid, nor what a misspelt name was meant for."""
    names = {field.alias or name: name for name, field in kind.model_fields.items()}
    parts = {name: _part(kind, name, found[key]) for key, name in names.items() if key in found}
    sketch = kind.model_construct(**{name: part[0] for name, part in parts.items() if part})
    unclear = {names[key] for key in _meant(kind, found) if key}
    for name in (*unclear, *(name for name, part in parts.items() if not part)):
        sketch.__dict__.pop(name, None)
    return sketch


def _part(of: type[BaseModel], name: str, value: Any) -> tuple[Any, ...]:
    """The value of a field as its type has it, or a sketch of it; empty where it is of no use."""
    part = _valid(_adapter(of, name), value)
    if part:
        return part
    annotation = of.model_fields[name].annotation
    many = is_list(annotation)
    kind = next(models_in(annotation), None)
    if kind is None or many != isinstance(value, list | tuple):
        return ()
    if not many:
        return _sketched(kind, value)
    items = [_valid(_adapter(kind), item) or _sketched(kind, item) for item in value]
    return (tuple(item[0] for item in items),) if all(items) else ()


@cache
def _adapter(kind: type[BaseModel], name: str | None = None) -> TypeAdapter[Any]:
    """Of a model or of one of its fields; it takes longer to make than to use."""
    return TypeAdapter(kind if name is None else kind.model_fields[name].rebuild_annotation())


def _valid(adapter: TypeAdapter[Any], value: Any) -> tuple[Any, ...]:
    try:
        return (adapter.validate_python(value, by_alias=True, by_name=False),)
    except ValidationError:
        return ()


def _sketched(kind: type[BaseModel], value: Any) -> tuple[BaseModel, ...]:
    return (_sketch(kind, value),) if isinstance(value, Mapping) else ()
