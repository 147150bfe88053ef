"""The one thing coordination needs from outside: a way to pass messages between ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trainjobs.coordination.messages import Message


class Communicator(Protocol):
    """A rank's mailbox. Messages from one rank to another arrive once, whole and in the order sent.

    To the own rank the object itself is handed over; to another one it goes encoded (`messages.encode`), and what comes
    in and is unreadable is dropped.

    Coordination sends from rank 0 to any rank, from any rank to rank 0, and from a rank to itself.
    """

    rank: int
    world_size: int

    def send(self, to_rank: int, message: Message) -> None:
        """Hand the message over without waiting for the receiver.

        To another rank: from the background thread only; raises ConnectionLost, and ValueError for what
        cannot be encoded. To the own rank: from any thread, and
        from a signal handler that has interrupted any code at all, so it takes no lock (`queue.SimpleQueue.put`).
        """

    def receive(self, timeout_s: float) -> tuple[int, Message] | None:
        """Block until a message is there; None after `timeout_s` seconds. Raises ConnectionLost. Background thread."""

    def close(self, grace_s: float) -> None:
        """Leave. Rank 0's transport serves all, so it waits up to `grace_s` seconds for the others to close first."""
