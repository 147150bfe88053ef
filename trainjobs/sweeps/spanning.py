"""The ranks of a slot that spans nodes: the slot's own, and on each of its other nodes those of an actor of Ray.

The slot's placement group has a bundle for each node, and the slot itself is in the first. When one of its nodes goes
away the slot ends, too: its trial goes on in a new one, as that of any slot whose process has died.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from trainjobs.driver.forkserver import ForkServer
from trainjobs.driver.launcher import Group
from trainjobs.driver.local_launcher import LocalGroup, LocalWorkers, TeamEnd, end_of_team
from trainjobs.exits import Exit
from trainjobs.runs.attempt import Setup
from trainjobs.runs.share import Share
from trainjobs.sweeps.preload import server
from trainjobs.sweeps.record import SweepDirectory


class Member:
    """The part of a slot on one of its other nodes; ranks end with it."""

    def __init__(self, sweep_dir: str, code: str) -> None:
        self._server = server(Path(code), SweepDirectory(Path(sweep_dir)).sweep().spec)
        self._server.start()

    def train(self, share: Share, setup: Setup) -> TeamEnd:
        """See `end_of_team`."""
        return end_of_team(self._server, share, setup)

    def end_team(self) -> None:
        """End the ranks that are there."""
        self._server.end_team()

    def close(self) -> None:
        """The next ranks come from a new process."""
        self._server.close()


def members(sweep_dir: str, code: str) -> list[Any]:
    """Actors in all bundles of this actor's placement group but the first; each holds its bundle."""
    group = ray.util.get_current_placement_group()
    return [
        ray.remote(Member)
        .options(
            num_cpus=bundle.get("CPU", 0),
            num_gpus=bundle.get("GPU", 0),
            max_concurrency=2,  # a team is ended while it trains
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, index),
        )
        .remote(sweep_dir, code)
        for index, bundle in enumerate(group.bundle_specs if group is not None else ())
        if index
    ]


def answer(of: Any) -> Any:
    """What a member answers. Ends this process when the member is gone."""
    try:
        return ray.get(of)
    except RayActorError as error:
        logging.error("a node of this slot is gone, and the slot ends: %s", str(error).partition("\n")[0])
        os._exit(Exit.FAILURE)


class SpanningWorkers(LocalWorkers):
    """The slot's own ranks and its members'. All outlive a trial.

    Args:
        server: forks the slot's own.
        others: its members.
    """

    def __init__(self, server: ForkServer, others: Sequence[Any]) -> None:
        super().__init__(server)
        self._others = others
        self.nodes = 1 + len(others)
        if others:
            self.host = ray.util.get_node_ip_address()

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`; it needs no files."""
        return SpanningGroup(self._server, self._others, self.host, setup)


class SpanningGroup(LocalGroup):
    """The ranks of one attempt on all nodes. When one fails, the others are ended."""

    def __init__(self, server: ForkServer, others: Sequence[Any], host: str, setup: Setup) -> None:
        self._others = others
        self._host = host
        self._ends: SimpleQueue[TeamEnd] = SimpleQueue()
        super().__init__(server, setup)

    def _train(self, setup: Setup) -> None:
        nodes, workers = 1 + len(self._others), setup.spec.trainer.num_workers
        shares = [
            Share(first, workers // nodes, workers, self._host)
            for first in range(0, workers, workers // nodes)
        ]
        begun = 1

        def begin_others(port: int) -> None:
            nonlocal begun
            for other, share in zip(self._others, shares[1:], strict=True):
                begun += 1
                self._wait(answer, other.train.remote(replace(share, port=port), setup))

        self._wait(end_of_team, self._server, shares[0], setup, begin_others)
        ended = 0
        while ended < begun:
            end = self._ends.get()
            ended += 1
            if end.error and self.error is None:
                self._close(end)
                self._end_all()

    def _wait(self, end: Callable[..., TeamEnd], *args: Any) -> None:
        threading.Thread(target=lambda: self._ends.put(end(*args)), daemon=True).start()

    def _end_all(self) -> None:
        self._server.end_team()
        for other in self._others:
            other.end_team.remote()
