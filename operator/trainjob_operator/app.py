"""The running operator: threads that watch, threads that work, one that holds the Lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.health import HealthServer
from trainjob_operator.core.leader_election import Elector
from trainjob_operator.core.reflector import Reflector
from trainjob_operator.core.work_queue import WorkQueue
from trainjob_operator.trainjob.api_errors import NameTakenError
from trainjob_operator.trainjob.excerpt import excerpt
from trainjob_operator.trainjob.metrics import CONTROLLER, Metrics
from trainjob_operator.trainjob.objects.names import LABEL
from trainjob_operator.trainjob.observed_job import projected
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainjob.reconcile import Reconciler
from trainjobs.kube.client import Client
from trainjobs.kube.resources import JOBS, TRAINJOBS, Key
from trainjobs.kube.transport import ApiError, Transport, TransportError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How one operator runs."""

    identity: str
    """Name of this process among those that stand for election; the pod's."""
    lease: Key
    """Where the Lease is."""
    settings: Settings = field(default_factory=Settings)
    namespaces: tuple[str, ...] = ()
    """Namespaces whose TrainJobs it sees, for an operator with rights in these alone. Empty: all."""
    workers: int = 8
    """Passes at a time. They wait for the API server most of the time."""
    health_address: tuple[str, int] = ("", 8080)


class Operator:
    """Everything that runs, wired together."""

    def __init__(
        self,
        transport: Transport,
        options: Options,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.options = options
        self.metrics = Metrics()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.trainjobs, self.jobs = Cache(excerpt), Cache(projected)
        client = Client(transport)
        self.elector = Elector(client, options.lease, options.identity)
        self.reflectors = [
            reflector
            for namespace in options.namespaces or ("",)
            for reflector in (
                Reflector(client, TRAINJOBS, self.trainjobs, self.queue.add, namespace=namespace),
                Reflector(client, JOBS, self.jobs, self.queue.add, labels=LABEL, namespace=namespace),
            )
        ]
        self._reconciler = Reconciler(
            client, self.trainjobs, self.jobs, options.settings, self.metrics, options.identity, now
        )
        self.metrics.watch(self._known)
        self.metrics.depth.labels(CONTROLLER).set_function(lambda: len(self.queue))
        self.metrics.leading.labels(CONTROLLER).set_function(self.elector.leading.is_set)
        self.health = HealthServer(options.health_address, self._alive, self._ready, self.metrics.registry)
        self._threads: list[threading.Thread] = []

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, or until the Lease is lost: then the process should end and begin anew.

        Followers keep their caches filled, so that they can work as soon as they lead.
        """
        self.health.start()
        for reflector in self.reflectors:
            self._start(reflector.run, stop, f"reflector-{len(self._threads)}", daemon=True)
        elector = self._start(self.elector.run, stop, "elector")
        try:
            if self._wait_until(lambda: self._ready() and self.elector.leading.is_set(), stop):
                workers = [self._start(self._work, stop, f"worker-{i}") for i in range(self.options.workers)]
                self._wait_until(lambda: not self.elector.leading.is_set(), stop)
                self.queue.close()
                for worker in workers:
                    worker.join()
        finally:
            stop.set()
            self.queue.close()
            elector.join()
            self.health.stop()

    def step(self, key: Key) -> None:
        """One pass over a key, and when to come back to it."""
        began = time.monotonic()
        result = "success"
        try:
            after_s = self._reconciler.reconcile(key)
            self.queue.forget(key)
            if after_s is not None:
                result = "requeue_after"
                self.queue.add_after(key, after_s)
        except (TransportError, NameTakenError) as error:
            result = self._failed(key, error)
        finally:
            self.metrics.reconciles.labels(CONTROLLER, result).inc()
            self.metrics.seconds.labels(CONTROLLER).observe(time.monotonic() - began)

    def _failed(self, key: Key, error: Exception) -> str:
        asked = error.retry_after_s if isinstance(error, ApiError) else None
        delay_s = self.queue.add_failed(key, asked or 0.0)
        if isinstance(error, ApiError) and error.status == 409:
            log.info("%s: changed meanwhile, again in %.2f s", key, delay_s)
            return "requeue"
        self.metrics.errors.labels(CONTROLLER).inc()
        log.warning("%s: %s; again in %.2f s", key, error, delay_s)
        return "error"

    def _work(self, _: threading.Event) -> None:
        while (key := self.queue.get()) is not None:
            with self.metrics.workers.labels(CONTROLLER).track_inprogress():
                try:
                    self.step(key)
                except Exception:
                    # A mistake of ours about one object must not stop the work on the others.
                    log.exception("%s: the pass broke", key)
                    self.metrics.errors.labels(CONTROLLER).inc()
                    self.queue.add_failed(key, 30.0)
                finally:
                    self.queue.done(key)

    def _start(
        self, run: Callable[[threading.Event], None], stop: threading.Event, name: str, daemon: bool = False
    ) -> threading.Thread:
        thread = threading.Thread(target=run, args=[stop], name=name, daemon=daemon)
        thread.start()
        self._threads.append(thread)
        return thread

    def _wait_until(self, holds: Callable[[], bool], stop: threading.Event) -> bool:
        while not stop.is_set():
            if holds():
                return True
            stop.wait(0.05)
        return False

    def _known(self) -> list[dict[str, object]]:
        found = (self.trainjobs.get(key) for key in self.trainjobs.keys())  # noqa: SIM118 - not a mapping
        return [each for each in found if each is not None]

    def _alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _ready(self) -> bool:
        return all(reflector.synced.is_set() for reflector in self.reflectors)
