"""The communicator of a run with one process: a queue."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainjobs.coordination.messages import Message


class SingleCommunicator:
    """World size 1: every message is to oneself."""

    rank = 0
    world_size = 1

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def send(self, to_rank: int, message: Message) -> None:
        self._inbox.put(message)

    def receive(self, timeout_s: float) -> tuple[int, Message] | None:
        try:
            return 0, self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self, grace_s: float) -> None:
        """Nothing to leave."""
