"""`--set PATH=VALUE`: one value of a manifest replaced from the command line."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from trainjobs.api.base import Location, path_text
from trainjobs.api.manifest.document import Document, SourceLine
from trainjobs.api.manifest.problems import Problem, SpecError, shown
from trainjobs.api.manifest.yaml_text import scalar

_STEP = re.compile(r'\[(?P<index>[0-9]+)\]|\["(?P<quoted>[^"]+)"\]|\.?(?P<name>(?:[^.\[\]"\\]|\\.)+)')


def override(document: Document, setting: str) -> Document:
    """The document with one value replaced; `setting` is PATH=VALUE, and VALUE is YAML.

    PATH is written as errors write it: `spec.stopping.criteria[0].plateau.patience`, or `criteria.0`; a name
    with a dot as `limits["nvidia.com/gpu"]` or `limits.nvidia\\.com/gpu`. Missing mappings are made, an index
    that is the length of a list adds to it, and null removes the field. Raises SpecError.
    """
    source = f"--set {setting}"
    path, equals, text = setting.partition("=")
    try:
        if not (path and equals):
            raise ValueError("write it as PATH=VALUE, such as spec.trainer.maxEpochs=5")
        at = location(path)
        value, written = _replaced(document.value, at, (), scalar(text))
    except ValueError as error:
        raise SpecError([Problem(path, None, str(error), None, source)]) from None
    kept = {place: where for place, where in document.places.items() if place[: len(written)] != written}
    return replace(document, value=value, places={**kept, written: SourceLine(source)})


def replaced_at(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Plain values with the one at `path` replaced, which is written as for `override`. Raises ValueError."""
    new, _ = _replaced(document, location(path), (), value)
    found: dict[str, Any] = new
    return found


def location(path: str) -> Location:
    """The steps of a path; a number is an index where it meets a list and a name where it meets a mapping."""
    return tuple(_steps(path))


def _steps(path: str) -> Iterator[str | int]:
    end = 0
    while end < len(path):
        step = _STEP.match(path, end)
        if step is None or (end == 0 and path[0] in ".["):
            raise ValueError(
                'cannot be read as a path: write it like spec.stopping.criteria[0].plateau or a["b.c"]'
            )
        end = step.end()
        if step["index"] is not None:
            yield int(step["index"])
        else:
            yield step["quoted"] or re.sub(r"\\(.)", r"\1", step["name"])


def _replaced(found: Any, at: Location, done: Location, value: Any) -> tuple[Any, Location]:
    """`found` with the value at `at` replaced, and where what is new begins; `done` is where `found` is."""
    if not at:
        return value, done
    if isinstance(found, list):
        return _replaced_in_list(found, at, done, value)
    if isinstance(found, dict):
        return _replaced_in_mapping(found, at, done, value)
    if found is not None:
        raise ValueError(f"{path_text(done)} is {shown(found)}, which has no fields to set")
    new, _ = _replaced([] if isinstance(at[0], int) else {}, at, done, value)
    return new, done


def _replaced_in_list(found: list[Any], at: Location, done: Location, value: Any) -> tuple[Any, Location]:
    index, length = at[0], len(found)
    if isinstance(index, str):
        if not index.isdecimal():
            raise ValueError(f"{path_text(done)} is a list: write {path_text((*done, 0))} for its first item")
        index = int(index)
    if index > length:
        raise ValueError(
            f"{path_text(done)} has {length} item{'' if length == 1 else 's'}: "
            f"use an index from 0 to {length}, which adds one"
        )
    if value is None and len(at) == 1:
        return found[:index] + found[index + 1 :], done
    new, written = _replaced(found[index] if index < length else None, at[1:], (*done, index), value)
    return [*found[:index], new, *found[index + 1 :]], written


def _replaced_in_mapping(
    found: dict[Any, Any], at: Location, done: Location, value: Any
) -> tuple[Any, Location]:
    name = at[0]
    if isinstance(name, int):
        raise ValueError(
            f"{path_text(done)} is a mapping: name one of its fields, {', '.join(map(str, found))}"
        )
    if value is None and len(at) == 1:
        return {key: below for key, below in found.items() if key != name}, (*done, name)
    new, written = _replaced(found.get(name), at[1:], (*done, name), value)
    return {**found, name: new}, written
