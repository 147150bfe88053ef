"""Worker groups on this machine: processes forked by a server that has imported torch while the driver was busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from trainjobs.driver.forkserver import ForkServer, ServerLost, ending
from trainjobs.driver.launcher import Group, StartFailed, WorkersFailed
from trainjobs.runs.attempt import Setup
from trainjobs.runs.share import LOOPBACK, Share


class LocalWorkers:
    """Starts ranks between `with` and its end; then none of their processes is left.

    A manifest made for a cluster's GPUs trains on CPUs where there is not one for each worker.

    Args:
        server: what forks them. It may be starting already.
    """

    nodes = 1
    host = LOOPBACK
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


@dataclass(frozen=True, slots=True)
class TeamEnd:
    """How the ranks of one server have ended: well, without an error."""

    error: str = ""
    deaths: Mapping[int, str] = field(default_factory=dict)


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
        self._close(end_of_team(self._server, Share.whole(setup.spec.trainer.num_workers), setup))

    def _close(self, end: TeamEnd) -> None:
        self.deaths = end.deaths
        self.error = WorkersFailed(end.error) if end.error else None


def end_of_team(
    server: ForkServer, share: Share, setup: Setup, listening: Callable[[int], object] = lambda port: None
) -> TeamEnd:
    """Train, and say how it ended; see `ForkServer.train`."""
    try:
        failures = server.train(share, setup, listening)
    except ServerLost as lost:
        return TeamEnd(
            f"the process that starts the workers {lost}",
            dict.fromkeys(share.ranks, f"ended with the one that starts the workers, which {lost}"),
        )
    deaths = {rank: ending(code) + " amid its training" * (code == 0) for rank, code in failures.items()}
    errors = [f"the process of rank {rank} {death}: {server.last_words()}" for rank, death in deaths.items()]
    return TeamEnd(errors[0] if errors else "", deaths)
