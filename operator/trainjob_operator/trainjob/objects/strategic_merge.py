"""A pod template of the user's merged into ours, as Kubernetes merges pods: named list items by their key.

https://kubernetes.io/docs/reference/generated/kubernetes-api says of each list by which field it is merged.
"""

from __future__ import annotations

from typing import Any, Final

_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""Which field identifies an item of a list."""
_ONE_OF: Final = ("env", "volumes")
"""Lists whose items have one source out of several: what theirs does not name goes."""
_ADDED_TO: Final = ("drop", "tolerations")
"""Lists without keys that are added to: ours holds what a pod gives up, theirs what else. Others are replaced."""


def merged(ours: Any, theirs: Any, name: str = "") -> Any:
    """`theirs` wins where both have a value; mappings and lists of named items are merged, other lists replaced.

    Args:
        name: of the field that they are.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {
            **ours,
            **{key: merged(ours[key], value, key) if key in ours else value for key, value in theirs.items()},
        }
    if isinstance(ours, list) and isinstance(theirs, list) and (name in _KEYS or name in _ADDED_TO):
        return _merged_lists(ours, theirs, name)
    return theirs


def _merged_lists(ours: list[Any], theirs: list[Any], name: str) -> list[Any]:
    result = list(ours)
    for item in theirs:
        place = next((i for i, known in enumerate(ours) if _same(known, item, _KEYS.get(name))), None)
        if place is None:
            result.append(item)
        else:
            both = merged(ours[place], item)
            result[place] = {key: both[key] for key in item} if name in _ONE_OF else both
    return result


def _same(one: Any, other: Any, key: str | None) -> bool:
    if key is None or not (isinstance(one, dict) and isinstance(other, dict)):
        return bool(one == other)
    return key in one and key in other and one[key] == other[key]
