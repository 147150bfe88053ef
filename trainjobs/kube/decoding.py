"""Answers of the API server as values, whatever is in the objects: one of them hides no other.

An object may nest ten thousand levels deep, which is more than Python decodes, and be 1.5 MB long, which becomes forty
as values. So the items of a list are decoded one at a time, and what lies too deep is cut away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from trainjobs.kube.resources import Object

DEEPEST: Final = 200
"""Levels of an object that is too deep to be decoded as it is: what lies deeper becomes null."""

_NEXT_BRACKET: Final = re.compile(r'(?:[^"\[\]{}]|"(?:[^"\\]|\\.)*+")*+([\[\]{}])', re.DOTALL)
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Items:
    """A list in a text; each item is decoded when it is its turn, and kept by nobody here."""

    text: str
    begin: int
    """Where its bracket is."""

    def __iter__(self) -> Iterator[Any]:
        at = _blank(self.text, self.begin + 1)
        while self.text[at] != "]":
            value, at = _value(self.text, at)
            yield value
            at = _after(self.text, at, ",")

    def __bool__(self) -> bool:
        return self.text[_blank(self.text, self.begin + 1)] != "]"


def decoded(data: bytes) -> Object:
    """An object; if it is a list of objects, its `items` are `Items`. Raises ValueError for what is not JSON."""
    text = data.decode()
    at = _blank(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("no JSON object")
    found: Object = {}
    try:
        at = _blank(text, at + 1)
        while text[at] != "}":
            name, at = _DECODER.raw_decode(text, at)
            found[name], at = _member(text, _after(text, at, ":"), name)
            at = _after(text, at, ",")
    except IndexError as error:
        raise ValueError("it ends early") from error
    return found


def _member(text: str, at: int, name: str) -> tuple[Any, int]:
    if name == "items" and text[at] == "[":
        return Items(text, at), _end_of_items(text, at)
    return _value(text, at)


def _value(text: str, at: int) -> tuple[Any, int]:
    """The value that begins here, and where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError:
        end = _end(text, at)
        return json.loads(_shallow(text[at:end])), end


def _shallow(text: str) -> str:
    kept, depth, since = [], 0, 0
    for bracket in _NEXT_BRACKET.finditer(text):
        place = bracket.start(1)
        if text[place] in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept += [text[since:place], "null"]
        else:
            if depth == DEEPEST + 1:
                since = place + 1
            depth -= 1
    return "".join((*kept, text[since:]))


def _end_of_items(text: str, at: int) -> int:
    """What follows the items of a list of objects is short and has no list in it, so the last bracket is theirs. To
    look at all of the items for theirs would take longer than to decode them."""
    end = text.rfind("]") + 1
    try:
        _DECODER.decode(f'{{"": 0{text[end:]}')
    except ValueError:
        return _end(text, at)
    return end


def _end(text: str, at: int) -> int:
    depth = 0
    for bracket in _NEXT_BRACKET.finditer(text, at):
        depth += 1 if bracket[1] in "[{" else -1
        if depth == 0:
            return bracket.end()
    raise ValueError("it ends early")


def _after(text: str, at: int, mark: str) -> int:
    """Where the next value begins, behind a mark that is there unless this was the last."""
    at = _blank(text, at)
    if text[at] == mark:
        return _blank(text, at + 1)
    if text[at] not in "]}":
        raise ValueError(f"{mark} expected at {at}")
    return at


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
