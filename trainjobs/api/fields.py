"""Which names and values are valid at a place of a manifest, read from the types."""

import difflib
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, JsonValue

from trainjobs.api.base import Location


def model_at(root: type[BaseModel], at: Location) -> type[BaseModel] | None:
    """The type of the mapping at a location; None where the mapping is free-form or nothing is known."""
    return next(models_in(_annotation_at(root, at)), None)


def values_at(root: type[BaseModel], at: Location) -> tuple[str, ...]:
    """The words that an enum allows at a location; empty where any value of the type is allowed."""
    for part in _parts(_annotation_at(root, at)):
        if isinstance(part, type) and issubclass(part, Enum):
            return tuple(str(member.value) for member in part)
        if get_origin(part) is Literal:
            return tuple(map(str, get_args(part)))
    return ()


def is_free(root: type[BaseModel], at: Location) -> bool:
    """Whether any value may stand at a location, as in a trainer's config."""
    return any(JsonValue in _parts(_annotation_at(root, at[:end])) for end in range(1, len(at) + 1))


def names_in(model: type[BaseModel]) -> dict[str, Any]:
    """Field names as the manifest writes them, each with the annotation of its value."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def nearest(word: str, valid: Sequence[str]) -> str | None:
    """The valid word that was probably meant: ignoring case, '_' and '-', and allowing for slips."""
    plain = {_plain(candidate): candidate for candidate in valid}
    found = difflib.get_close_matches(_plain(word), plain, n=1)
    return plain[found[0]] if found else None


def homes(model: type[BaseModel], name: str) -> list[str]:
    """Paths below a model of the mappings that do have a field of this name; the shallowest ones only."""
    level, seen = [("", model)], {model}
    while level:
        found = [path for path, home in level if path and name in names_in(home)]
        if found:
            return found
        below = [
            (f"{path}.{step}".lstrip("."), child) for path, home in level for step, child in _below(home)
        ]
        level = [(path, child) for path, child in below if child not in seen]
        seen.update(child for _, child in level)
    return []


def _below(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, annotation in names_in(model).items():
        many = is_list(annotation)
        yield from ((f"{name}[]" if many else name, child) for child in models_in(annotation))


def _annotation_at(root: type[BaseModel], at: Location) -> Any:
    annotation: Any = root
    for step in at:
        annotation = _annotation_below(annotation, step)
    return annotation


def _annotation_below(annotation: Any, step: str | int) -> Any:
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel) and isinstance(step, str):
            return names_in(part).get(step)
        if get_origin(part) is tuple and isinstance(step, int):
            return get_args(part)[0]
        if get_origin(part) is dict and isinstance(step, str):
            return get_args(part)[1]
    return None


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list of what `models_in` names."""
    return any(get_origin(part) is tuple for part in _parts(annotation))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models of a field's values, or of its items."""
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
        elif get_origin(part) is tuple:
            yield from models_in(get_args(part)[0])


def _parts(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union without their Annotated wrappings."""
    if hasattr(annotation, "__metadata__"):
        yield from _parts(annotation.__origin__)
    elif get_origin(annotation) in (None, tuple, dict, Literal):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _parts(part)


def _plain(word: str) -> str:
    return word.replace("_", "").replace("-", "").casefold()
