"""A TrainJob as the cache keeps it: as small as it can be and still be read.

One may be 1.5 MB long, and a tenant may have thousands. What is free-form the operator only compares, so it keeps a
digest of what is long there; criteria only the run needs, so long ones are left out. Whoever makes the Job reads the
TrainJob whole, and judges that. What nests too deep, or is too long to be criteria, is replaced by a sentence that the
types then refuse, so that its owner is told.
"""

from __future__ import annotations

import hashlib
import json
from sys import intern
from typing import Any, Final

from trainjob_operator.trainjob.objects import names
from trainjobs.api.pod import LONGEST_FREE
from trainjobs.kube.resources import Object

DEEPEST: Final = 64
"""Levels of a value; the command line takes as many."""
LONG: Final = 1024
"""Characters from which on a free-form part is kept as its digest."""
LONG_CRITERIA: Final = 4096
"""Characters of JSON from which on of `stopping` only the monitored metric's name is kept."""
LONGEST: Final = 196_608
"""Characters of JSON that a part of a spec has at most: 16 criteria of 64 members each fit."""
LONGEST_OF_TRAINER: Final = 32_768
"""Characters of JSON that a trainer's field has at most: 64 quantities with the longest names that there may be fit."""
TOO_DEEP: Final = f"(nested deeper than {DEEPEST} levels)"
"""Stands for what is."""
_UNREAD: Final = {"training": ("metrics", "waiting"), "stopping": ("shadow",)}
_METADATA: Final = (
    *("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"),
    "labels",
)


def excerpt(item: Object) -> Object:
    """What is kept of a TrainJob."""
    metadata = {name: item["metadata"][name] for name in _METADATA if name in item["metadata"]}
    if "labels" in metadata:
        metadata["labels"] = names.few(metadata["labels"])
    short = {**item, "metadata": metadata, "spec": _without_long_criteria(abridged(item["spec"]))}
    if item.get("status"):
        short["status"] = _status(item["status"])
    kept: Object = _named_once(short)
    return kept


def _named_once(value: Any) -> Any:
    """The same; names of fields, of which each object that was decoded has its own, are in memory once for all."""
    if isinstance(value, dict):
        return {intern(name): _named_once(below) for name, below in value.items()}
    return [_named_once(below) for below in value] if isinstance(value, list) else value


def _without_long_criteria(spec: Object) -> Object:
    stopping = spec.get("stopping")
    if not isinstance(stopping, dict) or len(_text(stopping)) <= LONG_CRITERIA:
        return spec
    return {**spec, "stopping": {name: stopping[name] for name in ("monitor",) if name in stopping}}


def _status(status: Object) -> Object:
    """Without what only people read: a run may fill it to 100 kB."""
    short = {name: value for name, value in status.items() if name != "checkpoint"}
    for part, unread in _UNREAD.items():
        if isinstance(short.get(part), dict):
            short[part] = {name: value for name, value in short[part].items() if name not in unread}
    return short


def abridged(spec: Object) -> Object:
    """A spec in which what is long is a digest. Abridged again it is the same."""
    if not is_deep(spec) and len(_text(spec)) <= LONG:
        return spec
    short = {**spec, "trainer": _trainer(spec["trainer"])}
    if "podTemplate" in spec and not is_deep(spec["podTemplate"]):
        short["podTemplate"] = _template(spec["podTemplate"])
    return {name: _readable(value) for name, value in short.items()}


def _trainer(trainer: Object) -> Object:
    short = {name: TOO_DEEP if is_deep(value) else value for name, value in trainer.items()}
    short = _digested(_within(short, "config"), "config")
    if len(_text(_sources(short.get("env")))) > LONGEST_FREE:
        short["env"] = _too_long(LONGEST_FREE)
    elif "env" in short and len(text := _text(short["env"])) > LONG:
        short["env"] = [{"name": "sha256", "value": hashlib.sha256(text.encode()).hexdigest()}]
    return {name: _readable(value, LONGEST_OF_TRAINER) for name, value in short.items()}


def _template(template: Object) -> Object:
    short = _digested(_within(template, "spec"), "spec")
    if "metadata" in short:
        short["metadata"] = _digested(_digested(short["metadata"], "annotations"), "labels")
    return short


def _within(part: Object, name: str) -> Object:
    """A copy in which what is longer than it may be is refused without a look at the whole, which takes 100 MB."""
    return {**part, name: _readable(part[name], LONGEST_FREE)} if name in part else part


def _sources(env: Any) -> list[Any]:
    """What is free-form there."""
    return [each.get("valueFrom") for each in env if isinstance(each, dict)] if isinstance(env, list) else []


def _digested(part: Object, name: str) -> Object:
    """A copy with a digest for what it holds of this name, if that is long."""
    value = part.get(name)
    text = value if isinstance(value, str) else _text(value)
    if len(text) <= LONG:
        return dict(part)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {**part, name: digest if isinstance(value, str) else {"sha256": digest}}


def _readable(value: Any, longest: int = LONGEST) -> Any:
    if is_deep(value):
        return TOO_DEEP
    return value if len(_text(value)) <= longest else _too_long(longest)


def _too_long(longest: int) -> str:
    """Stands for what is."""
    return f"(longer than {longest} characters)"


def is_deep(value: Any) -> bool:
    """Whether it has more levels than may be."""
    level = [value]
    for _ in range(DEEPEST):
        if not level:
            return False
        level = [
            below
            for each in level
            if isinstance(each, dict | list)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
