"""Worker groups on this machine: processes forked by a server that has imported torch while the driver was busy."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from trainjobs.driver.forkserver import ForkServer, ServerLost, ending
from trainjobs.driver.launcher import Group, StartFailed, WorkersFailed
from trainjobs.runs.attempt import Setup


class LocalWorkers:
    """Starts ranks between `with` and its end; then none of their processes is left.

    A manifest made for a cluster's GPUs trains on CPUs where there is not one for each worker.

    Args:
        server: what forks them. It may be starting already.
    """

    nodes = 1
    host = "127.0.0.1"
    restarts = True

    def __init__(self, server: ForkServer | None = None) -> None:
        self._server = server or ForkServer()

    def __enter__(self) -> Self:
        self._server.start()
        try:
            self._server.wait()
        except ServerLost as lost:
            words = self._server.last_words()
            raise StartFailed(f"the process that starts the workers {lost}{words and f': {words}'}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def lost(self) -> str:
        """See `Workers.lost`: this machine is here."""
        return ""

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`; it needs no files."""
        return LocalGroup(self._server, setup)


class LocalGroup:
    """The ranks of one attempt. When one fails, the others are ended."""

    def __init__(self, server: ForkServer, setup: Setup) -> None:
        self._server = server
        self.error: BaseException | None = None
        self.deaths: Mapping[int, str] = {}
        self._thread = threading.Thread(target=self._train, args=(setup,), name="ranks", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def _train(self, setup: Setup) -> None:
        count = setup.spec.trainer.num_workers
        try:
            failures = self._server.train(count, setup)
        except ServerLost as lost:
            self.error = WorkersFailed(f"the process that starts the workers {lost}")
            self.deaths = dict.fromkeys(
                range(count), f"ended with the one that starts the workers, which {lost}"
            )
            return
        self.deaths = {
            rank: ending(code) + " amid its training" * (code == 0) for rank, code in failures.items()
        }
        for rank, death in self.deaths.items():
            self.error = WorkersFailed(f"the process of rank {rank} {death}: {self._server.last_words()}")
            break
