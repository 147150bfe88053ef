"""Communicators in memory, for tests: threads stand for ranks, and a rank can be cut off."""

from __future__ import annotations

import queue
import random
import time

from trainjobs.coordination.messages import Message, decode, encode

Letter = tuple[int, Message]


class FakeNetwork:
    """As many mailboxes as ranks. Every delivery is held up for a random time, below `delay_s` seconds, by `seed`."""

    def __init__(self, world_size: int, *, seed: int = 0, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.cut_off: set[int] = set()
        self.travelled: list[Message] = []
        """What has left a rank for another, and was encoded for it."""
        self.inboxes: list[queue.SimpleQueue[Letter]] = [queue.SimpleQueue() for _ in range(world_size)]
        self.communicators = [
            FakeCommunicator(self, rank, random.Random(seed + rank)) for rank in range(world_size)
        ]

    def cut(self, rank: int) -> None:
        """From now on nothing reaches `rank`, and nothing from it reaches anybody."""
        self.cut_off.add(rank)


class FakeCommunicator:
    """One rank's endpoint."""

    def __init__(self, network: FakeNetwork, rank: int, delays: random.Random) -> None:
        self.rank = rank
        self.world_size = len(network.inboxes)
        self.closed = False
        self._network = network
        self._delays = delays

    def send(self, to_rank: int, message: Message) -> None:
        if to_rank == self.rank:
            self._network.inboxes[to_rank].put((self.rank, message))
            return
        encoded = encode(message)
        self._network.travelled.append(message)
        if not {self.rank, to_rank} & self._network.cut_off:
            self._network.inboxes[to_rank].put((self.rank, decode(encoded)))

    def receive(self, timeout_s: float) -> Letter | None:
        try:
            letter = self._network.inboxes[self.rank].get(timeout=timeout_s)
        except queue.Empty:
            return None
        if self._network.delay_s:
            time.sleep(self._delays.uniform(0.0, self._network.delay_s))
        return letter

    def close(self, grace_s: float) -> None:
        self.closed = True
