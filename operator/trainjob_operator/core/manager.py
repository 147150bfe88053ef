"""A running process of controllers: threads that watch, threads that work, one that holds the Lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial

from trainjob_operator.core.controller import Controller, Host
from trainjob_operator.core.health import PageServer, metrics, probes
from trainjob_operator.core.leader_election import Elector


class Manager:
    """Runs controllers, whatever their kinds are, while this process leads."""

    def __init__(
        self,
        host: Host,
        controllers: Iterable[Controller],
        elector: Elector,
        metrics_address: tuple[str, int],
        health_address: tuple[str, int],
        workers: int,
    ) -> None:
        """`workers` is the number of passes at a time, for each kind."""
        self.controllers = tuple(controllers)
        self.elector = elector
        self.metrics = PageServer(metrics_address, metrics(host.registry))
        self.health = PageServer(health_address, probes(self._alive, self._ready))
        self._workers = workers
        self._threads: list[threading.Thread] = []
        for controller in self.controllers:
            host.metrics.leading.labels(controller.name).set_function(elector.leading.is_set)
            host.metrics.depth.labels(controller.name).set_function(partial(self._depth, controller))

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, or until the Lease is lost: then the process should end and begin anew.

        Followers keep their caches filled, so that they can work as soon as they lead.
        """
        self.metrics.start()
        self.health.start()
        for controller in self.controllers:
            for number, reflector in enumerate(controller.reflectors):
                self._start(reflector.run, stop, f"{controller.name}-reflector-{number}", daemon=True)
        elector = self._start(self.elector.run, stop, "elector")
        try:
            if self._wait_until(lambda: self._ready() and self.elector.leading.is_set(), stop):
                workers = self._start_workers(stop)
                self._wait_until(lambda: not self.elector.leading.is_set(), stop)
                self._close()
                for worker in workers:
                    worker.join()
        finally:
            stop.set()
            self._close()
            elector.join()
            self.health.stop()
            self.metrics.stop()

    def _depth(self, controller: Controller) -> int:
        """Keys that wait for a worker; a follower has none, and its keys wait for nothing."""
        return len(controller.queue) if self.elector.leading.is_set() else 0

    def _start_workers(self, stop: threading.Event) -> list[threading.Thread]:
        return [
            self._start(controller.work, stop, f"{controller.name}-worker-{number}")
            for controller in self.controllers
            for number in range(self._workers)
        ]

    def _close(self) -> None:
        for controller in self.controllers:
            controller.queue.close()

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

    def _alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _ready(self) -> bool:
        return all(controller.synced for controller in self.controllers)
