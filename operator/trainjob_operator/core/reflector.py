"""Keeps a cache equal to the API server: one list, then a watch, and again after every kind of failure."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from trainjob_operator.core.cache import Cache
from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import Key, Object, Resource, key_of
from trainjobs.kube.transport import ApiError, TransportError

SILENCE_S: Final = 90.0
"""Seconds without an event after which a watch counts as dead: a living one brings a bookmark every minute."""
WATCH_S: Final = 300
"""Seconds, up to twice as many, after which the server ends a watch, so that load spreads over its replicas."""
STEADY_S: Final = 5.0
"""Seconds that a watch must last to count as a success."""
PATIENCE: Final = 3
"""Failures in a row after which a list replaces the attempts to go on from the last event."""
BACKOFF: Final = Backoff(first_s=0.8, longest_s=30.0)

log = logging.getLogger(__name__)


class Reflector:
    """One kind's list and watch, in one namespace or (without) in all; `run` is for a thread of its own."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        cache: Cache,
        changed: Callable[[Key], None],
        labels: str = "",
        namespace: str = "",
        backoff: Backoff = BACKOFF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = threading.Event()
        """Set once the cache has held everything."""
        self.forbidden = False
        """Whether the last list was refused for want of rights."""
        self._client = client
        self._resource = resource
        self._cache = cache
        self._changed = changed
        self._labels = labels
        self._namespace = namespace
        self._backoff = backoff
        self._clock = clock
        self._version = ""  # empty: the next step is a list
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """List and watch until `stop`."""
        while not stop.is_set():
            delay_s = self.step(stop)
            stop.wait(delay_s)

    def step(self, stop: threading.Event) -> float:
        """One list, or one watch to its end; returns the seconds to wait before the next step."""
        started = self._clock()
        try:
            if not self._version:
                self._list()
                return 0.0
            self._watch(stop)
        except TransportError as error:
            gone = isinstance(error, ApiError) and error.status == 410
            self.forbidden = not self._version and isinstance(error, ApiError) and error.status == 403
            if gone or self._failures + 1 >= PATIENCE:
                self._version = ""
            return self._failed(error)
        except Exception as error:
            # Whatever it was, the cache has to be filled: begin anew.
            log.exception("%s: the watch broke", self._resource.plural)
            self._version = ""
            return self._failed(error)
        if self._clock() - started >= STEADY_S:
            self._failures = 0
            return 0.0
        return 0.0 if stop.is_set() else self._failed("the watch ended at once")

    def _failed(self, cause: Exception | str) -> float:
        self._failures += 1
        asked = cause.retry_after_s if isinstance(cause, ApiError) else None
        delay_s = self._backoff.after(self._failures, asked)
        log.warning("%s: %s; again in %.1f s", self._resource.plural, cause, delay_s)
        return delay_s

    def _list(self) -> None:
        # Items of a list do not say their kind; objects of a watch do.
        named = {"apiVersion": self._resource.api_version, "kind": self._resource.kind}
        items: list[Object] = []
        for page in self._client.pages(self._resource, self._namespace, self._labels):
            # Never all objects whole at once: memory that was needed once is hardly given back.
            kept = (self._kept({**named, **item}) for item in page.items)
            items += [item for item in kept if item is not None]
        changed = self._cache.replace(items, page.resource_version, self._namespace)
        self._version = page.resource_version
        self.forbidden = False
        self.synced.set()
        for key in changed:
            self._changed(key)

    def _kept(self, item: Object) -> Object | None:
        try:
            return self._cache.projection(item)
        except Exception:
            self._pass_over(item)
            return None

    def _watch(self, stop: threading.Event) -> None:
        timeout_s = WATCH_S + random.randrange(WATCH_S)
        events = self._client.watch(
            self._resource, self._namespace, self._labels, self._version, timeout_s, SILENCE_S
        )
        for event in events:
            self._heard(event["type"], event["object"])
            if stop.is_set():
                return

    def _heard(self, kind: str, item: Object) -> None:
        self._version = item["metadata"]["resourceVersion"]
        self._failures = 0
        if kind == "BOOKMARK":
            return
        try:
            news = self._cache.remove(item) if kind == "DELETED" else self._cache.put(item)
        except Exception:
            self._pass_over(item)
            return
        if news:
            self._changed(key_of(item))

    def _pass_over(self, item: Object) -> None:
        """Tell of an object that nobody can work with; it stands in no other's way."""
        log.exception("%s: passed over: %s", self._resource.plural, item.get("metadata", {}).get("name"))
