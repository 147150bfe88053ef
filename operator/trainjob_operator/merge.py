"""A pod template of the user's merged into ours, as Kubernetes merges pods: named list items by name."""

from __future__ import annotations

from typing import Any, Final

_KEYS: Final = ("name", "mountPath", "key", "ip", "topologyKey")
"""What identifies an item of a list of mappings, in the order in which it is tried."""


def merged(ours: Any, theirs: Any) -> Any:
    """`theirs` wins where both have a value; mappings and lists of named items are merged, other lists added to."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {
            **ours,
            **{key: merged(ours[key], value) if key in ours else value for key, value in theirs.items()},
        }
    if isinstance(ours, list) and isinstance(theirs, list):
        return _merged_lists(ours, theirs)
    return theirs


def _merged_lists(ours: list[Any], theirs: list[Any]) -> list[Any]:
    result = list(ours)
    for item in theirs:
        place = next((i for i, known in enumerate(result) if _same(known, item)), None)
        if place is None:
            result.append(item)
        else:
            result[place] = merged(result[place], item)
    return result


def _same(one: Any, other: Any) -> bool:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return bool(one == other)
    key = next((key for key in _KEYS if key in one and key in other), None)
    return key is not None and one[key] == other[key]
