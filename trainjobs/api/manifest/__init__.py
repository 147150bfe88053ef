"""Manifests: a YAML file becomes types, and every problem of it a sentence with its line and its path.

Reads no file but the manifest it is given. Read `reader.py` first; `messages.py` has the sentences.
"""

from trainjobs.api.manifest.problems import Problem, SpecError, UnreadableError
from trainjobs.api.manifest.reader import (
    Manifest,
    dump,
    load,
    load_stopping,
    parse,
    parse_stopping,
    parse_sweep,
)

__all__ = [
    "Manifest",
    "Problem",
    "SpecError",
    "UnreadableError",
    "dump",
    "load",
    "load_stopping",
    "parse",
    "parse_stopping",
    "parse_sweep",
]
