"""What is wrong with a manifest.

Exception
└── SpecError: one or more problems, each with its place, value, rule and remedy
    └── UnreadableError: the text is not YAML
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 60
_SETTING = "--set "


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    path: str
    """Where in the manifest, as "spec.stopping.criteria[0].plateau.patience"; empty: the whole document."""
    value: Any
    """What was found there; None: nothing, or the value is not to blame."""
    message: str
    """The rule and the remedy."""
    line: int | None = None
    """Line of `source`, from 1. None: not from a file."""
    source: str | None = None
    """Name of the file, or "--set PATH=VALUE". None: the manifest was given as values."""

    @property
    def of_command_line(self) -> bool:
        """Whether an override says what is wrong, and not the file."""
        return self.line is None and (self.source or "").startswith(_SETTING)

    def __str__(self) -> str:
        """As "mnist.yaml:14: spec.stopping.criteria[0].plateau.patience: 0: must be at least 1"."""
        line = None if self.line is None else str(self.line)
        place = ":".join(part for part in (self.source, line) if part)
        if re.fullmatch(rf"{_SETTING}{re.escape(self.path)}(=.*)?", place, re.DOTALL):
            return f"{place}: {self.message}"  # which says path and value already
        value = None if self.value is None else shown(self.value)
        return ": ".join(part for part in (place, self.path, value, self.message) if part)


class SpecError(Exception):
    """A manifest that cannot be used; holds every problem found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class UnreadableError(SpecError):
    """A text that is not YAML in UTF-8, so that nothing in it can be judged."""


def shown(value: Any) -> str:
    """A value as YAML's flow style would write it, cut to 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
