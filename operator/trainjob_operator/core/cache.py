"""The last known state of a kind's objects, as small as its readers need, and never older than our own writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from trainjobs.kube.resources import Key, Object, key_of

Projection = Callable[[Object], Object]

GRAVES: Final = 10_000
"""Deletions that are remembered: more than there can be while an answer is on its way."""


def whole(item: Object) -> Object:
    """All but what nobody reads: who set which field."""
    metadata = {name: value for name, value in item["metadata"].items() if name != "managedFields"}
    return {**item, "metadata": metadata}


class Cache:
    """Objects by key. Readers must not change what they get.

    A write's answer goes in at once (`put`), and what is older than it, in a watch or a list, does not replace
    it: so a worker that has just created a Job sees it. Versions of one resource can be compared as numbers.
    """

    def __init__(self, projection: Projection = whole) -> None:
        self.projection = projection
        """What of an object is kept."""
        self._lock = threading.Lock()
        self._items: dict[Key, Object] = {}
        self._buried: dict[Key, int] = {}  # version at which an object went; for answers that arrive late

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        with self._lock:
            return self._items.get(key)

    def keys(self) -> list[Key]:
        """All keys."""
        with self._lock:
            return list(self._items)

    def values(self) -> list[Object]:
        """All objects."""
        with self._lock:
            return list(self._items.values())

    def put(self, item: Object) -> bool:
        """A newer state of an object; whether it was news."""
        key, version = key_of(item), version_of(item)
        with self._lock:
            known = self._items.get(key)
            if version <= max(version_of(known), self._buried.get(key, 0)):
                return False
            self._items[key] = self.projection(item)
            self._buried.pop(key, None)
            return True

    def remove(self, item: Object) -> bool:
        """The last state of an object that is gone; whether that was news."""
        key, version = key_of(item), version_of(item)
        with self._lock:
            known = self._items.get(key)
            if version < version_of(known):
                return False
            self._buried[key] = version
            if len(self._buried) > GRAVES:
                del self._buried[next(iter(self._buried))]
            return self._items.pop(key, None) is not None

    def replace(self, items: Iterable[Object], resource_version: str, namespace: str = "") -> set[Key]:
        """All objects of a namespace (of all, without) at one moment, of each what `projection` keeps; returns the
        keys of those that came, went or changed meanwhile."""
        moment = int(resource_version)
        listed = {key_of(item): item for item in items}
        with self._lock:
            gone = {
                key
                for key, known in self._items.items()
                if key not in listed and namespace in ("", key.namespace) and version_of(known) <= moment
            }
            changed = {
                key
                for key, item in listed.items()
                if version_of(item) > max(version_of(self._items.get(key)), self._buried.get(key, 0))
            }
            for key in gone:
                del self._items[key]
            for key in changed:
                self._items[key] = listed[key]
            # What was buried before this moment is in no later answer but in those that are older anyway.
            self._buried = {
                key: version
                for key, version in self._buried.items()
                if version > moment or namespace not in ("", key.namespace)
            }
        return gone | changed


def version_of(item: Object | None) -> int:
    """The resourceVersion as the number it is; 0 without an object."""
    return int(item["metadata"]["resourceVersion"]) if item else 0
