"""Which parts of a TrainJob may change once it has started."""

from typing import Any, Final

from trainjobs.api.base import Location, path_text
from trainjobs.api.trainjob import TrainJobSpec

MUTABLE: Final = frozenset(
    {
        "suspend",
        "stop",
        "stopping",
        "ttlSecondsAfterFinished",
        "startupDeadlineSeconds",
        "activeDeadlineSeconds",
        "progressDeadlineSeconds",
    }
)
"""Fields of a TrainJob's spec that may change after the start; all others may not."""

_ABSENT: Final = object()


def changes(old: TrainJobSpec, new: TrainJobSpec) -> list[str]:
    """Paths such as "spec.trainer.config.hidden" that differ.

    Defaults count as written out; a list that grew or shrank is one change.
    """
    return [path_text(at) for at in _changed(old, new)]


def immutable_changes(old: TrainJobSpec, new: TrainJobSpec) -> list[str]:
    """Those of `changes` that must not be made after the start."""
    return [path_text(at) for at in _changed(old, new) if at[1] not in MUTABLE]


def _changed(old: TrainJobSpec, new: TrainJobSpec) -> list[Location]:
    before, after = (spec.model_dump(mode="json", by_alias=True) for spec in (old, new))
    return _differences(("spec",), before, after)


def _differences(at: Location, old: Any, new: Any) -> list[Location]:
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {key: (old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in {**old, **new}}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = dict(enumerate(zip(old, new, strict=True)))
    else:
        same = old == new and isinstance(old, bool) == isinstance(new, bool)
        return [] if same else [at]
    return [found for key, (a, b) in pairs.items() for found in _differences((*at, key), a, b)]
