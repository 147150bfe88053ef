"""Mailboxes over a `TCPStore` of their own, so that coordination shares nothing with the training's collectives.

Rank 0 hosts the store. A rank's mailbox is a queue there; a thread blocks in its `queue_pop` through one connection and
moves messages into the process, while another connection sends. Both wait in C++ without the GIL.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Self

from torch.distributed import DistError, TCPStore

from trainjobs.coordination import ConnectionLost

_FOREVER = timedelta(days=365)


class TorchCommunicator:
    """A rank's mailbox in rank 0's store. Make it with `connect`."""

    def __init__(
        self, rank: int, world_size: int, host: str, port: int, server: TCPStore | None, timeout_s: float
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self._server = server
        self._sender = _client(host, port, timedelta(seconds=timeout_s))
        self._receiver = _client(host, port, _FOREVER)
        self._inbox: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._pump, name="mailbox", daemon=True)
        self._thread.start()

    @classmethod
    def connect(
        cls,
        rank: int,
        world_size: int,
        broadcast: Callable[[str | None], str],
        host: str | None = None,
        timeout_s: float = 60.0,
    ) -> Self:
        """Open every rank's mailbox. Collective.

        Args:
            broadcast: gives rank 0's text to every rank; called once.
            host: where rank 0 listens. Default: MASTER_ADDR, else loopback.
            timeout_s: seconds within which a message must reach the store.
        """
        server, address = None, None
        if rank == 0:
            host = host or os.environ.get("MASTER_ADDR", "127.0.0.1")
            server = TCPStore(host, 0, is_master=True, wait_for_workers=False)
            address = f"{host}:{server.port}"
        host, _, port = broadcast(address).rpartition(":")
        return cls(rank, world_size, host, int(port), server, timeout_s)

    def send(self, to_rank: int, message: bytes) -> None:
        """See `Communicator.send`."""
        if to_rank == self.rank:
            self._inbox.put((self.rank, message))
            return
        try:
            self._sender.queue_push(f"to/{to_rank}", f"{self.rank}:".encode() + message)
        except DistError as error:
            raise ConnectionLost(str(error)) from error

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """See `Communicator.receive`."""
        try:
            arrived = self._inbox.get(timeout=timeout_s)
        except Empty:
            return None
        if arrived is None:
            raise ConnectionLost("rank 0's store is gone")
        return arrived

    def close(self, grace_s: float) -> None:
        """See `Communicator.close`."""
        try:
            self._sender.queue_push(f"to/{self.rank}", b"close")
        except DistError:
            return
        self._thread.join(grace_s)

    def _pump(self) -> None:
        while True:
            try:
                sender, _, message = self._receiver.queue_pop(f"to/{self.rank}").partition(b":")
            except DistError:
                self._inbox.put(None)
                return
            if sender == b"close":
                return
            self._inbox.put((int(sender), message))


def _client(host: str, port: int, timeout: timedelta) -> TCPStore:
    return TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timeout)
