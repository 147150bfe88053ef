"""The one thing coordination needs from outside: a way to pass messages between ranks."""

from __future__ import annotations

from typing import Protocol


class Communicator(Protocol):
    """A rank's mailbox. Messages from one rank to another arrive once, whole and in the order sent.

    Coordination sends from rank 0 to any rank, from any rank to rank 0, and from a rank to itself.
    """

    rank: int
    world_size: int

    def send(self, to_rank: int, message: bytes) -> None:
        """Hand the message over without waiting for the receiver.

        To another rank: from the background thread only; raises ConnectionLost. To the own rank: from any thread, and
        from a signal handler that has interrupted any code at all, so it takes no lock (`queue.SimpleQueue.put`).
        """

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """Block until a message is there; None after `timeout_s` seconds. Raises ConnectionLost. Background thread."""

    def close(self, grace_s: float) -> None:
        """Leave. Rank 0's transport serves all, so it waits up to `grace_s` seconds for the others to close first."""
