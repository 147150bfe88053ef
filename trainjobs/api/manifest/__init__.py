"""Manifests: a YAML file becomes types, and every problem of it a sentence with its line and its path.

Reads no file but the manifest it is given. Read `reader.py` first; `messages.py` has the sentences.
"""

from trainjobs.api.manifest.problems import Problem, SpecError, UnreadableError
from trainjobs.api.manifest.reader import (
    dump,
    holds_stopping_alone,
    load,
    load_stopping,
    parse,
    parse_stopping,
)

__all__ = [
    "Problem",
    "SpecError",
    "UnreadableError",
    "dump",
    "holds_stopping_alone",
    "load",
    "load_stopping",
    "parse",
    "parse_stopping",
]
