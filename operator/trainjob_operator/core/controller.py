"""The loop of one kind: what it watches leads to keys, and each key to a pass. Namespaces take turns.

What a pass does is the kind's own affair. Each kind has a queue and workers of its own, so its keys are never taken
for another kind's of the same name, and a kind that is slow or fails holds up no other.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.loop_metrics import LoopMetrics
from trainjob_operator.core.reflector import Reflector
from trainjob_operator.core.work_queue import WorkQueue
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import Key, Resource
from trainjobs.kube.transport import ApiError, TransportError

BROKEN_S: Final = 30.0
"""Seconds, at least, until a pass that broke by a fault of ours is repeated."""

log = logging.getLogger(__name__)


class RepeatError(Exception):
    """A pass cannot be finished now, and is to be repeated."""


class Reconciler(Protocol):
    """Makes one object be as it should; passes over different keys run side by side."""

    def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds until the next one that is needed anyway. Raises TransportError and
        RepeatError; the pass is then to be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class WatchSource:
    """Objects that are kept in a cache; a change of one leads to a pass over its key."""

    resource: Resource
    cache: Cache
    labels: str = ""
    """Selector; empty: all."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the process gives to every kind."""

    client: KubeClient
    identity: str
    """Its name."""
    namespaces: tuple[str, ...]
    """Those that are watched. Empty: all."""
    registry: CollectorRegistry
    """For metrics of the kind's own."""
    metrics: LoopMetrics


class Controller:
    """One kind's queue, and the reflectors that feed it. Threads are the manager's."""

    def __init__(
        self, name: str, host: Host, watches: tuple[WatchSource, ...], reconciler: Reconciler
    ) -> None:
        self.name = name
        """In logs, metrics and names of threads."""
        self.reconciler = reconciler
        self.queue: WorkQueue[Key] = WorkQueue(tenant=lambda key: key.namespace)
        self._reflectors = {
            namespace: [
                Reflector(
                    host.client,
                    watch.resource,
                    watch.cache,
                    self.queue.add,
                    watch.labels,
                    namespace=namespace,
                )
                for watch in watches
            ]
            for namespace in host.namespaces or ("",)
        }
        self._metrics = host.metrics
        self._metrics.errors.labels(name)  # the first one is an increase, too

    @property
    def reflectors(self) -> list[Reflector]:
        """All of them."""
        return [reflector for reflectors in self._reflectors.values() for reflector in reflectors]

    @property
    def synced(self) -> bool:
        """Whether the caches have held everything, but of namespaces without rights: who has lost one, or has not got
        it yet, works in the others."""
        known = [_are_synced(reflectors) for reflectors in self._reflectors.values()]
        waits = (not each.synced.is_set() and not each.forbidden for each in self.reflectors)
        return any(known) and not any(waits)

    def work(self, _: threading.Event) -> None:
        """Pass after pass, until the queue is closed; several threads may do so."""
        while (key := self.queue.get()) is not None:
            with self._metrics.workers.labels(self.name).track_inprogress():
                try:
                    self.step(key)
                except Exception:
                    # A mistake of ours about one object must not stop the work on the others.
                    log.exception("%s %s: the pass broke", self.name, key)
                    self._metrics.errors.labels(self.name).inc()
                    self.queue.add_failed(key, BROKEN_S)
                finally:
                    self.queue.done(key)

    def step(self, key: Key) -> None:
        """One pass over a key, and when to come back to it."""
        began = time.monotonic()
        result = "success"
        try:
            if not _are_synced(self._reflectors.get(key.namespace, [])):
                raise RepeatError("not everything in its namespace is known yet")
            after_s = self.reconciler.reconcile(key)
            self.queue.forget(key)
            if after_s is not None:
                result = "requeue_after"
                self.queue.add_after(key, after_s)
        except (TransportError, RepeatError) as error:
            result = self._failed(key, error)
        finally:
            self._metrics.reconciles.labels(self.name, result).inc()
            self._metrics.seconds.labels(self.name).observe(time.monotonic() - began)

    def _failed(self, key: Key, error: Exception) -> str:
        if isinstance(error, ApiError) and error.is_namespace_terminating:
            # Nothing can be made there any more. That the object goes will be heard of.
            log.info("%s %s: %s", self.name, key, error.message)
            self.queue.forget(key)
            return "success"
        asked = error.retry_after_s if isinstance(error, ApiError) else None
        delay_s = self.queue.add_failed(key, asked or 0.0)
        if isinstance(error, ApiError) and error.status == 409:
            log.info("%s %s: changed meanwhile, again in %.2f s", self.name, key, delay_s)
            return "requeue"
        self._metrics.errors.labels(self.name).inc()
        log.warning("%s %s: %s; again in %.2f s", self.name, key, error, delay_s)
        return "error"


def _are_synced(reflectors: list[Reflector]) -> bool:
    return all(reflector.synced.is_set() for reflector in reflectors)
