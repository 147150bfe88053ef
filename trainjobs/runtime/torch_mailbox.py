"""Mailboxes over a `TCPStore` of their own, so that coordination shares nothing with the training's collectives.

Rank 0 hosts the store. A rank's mailbox is a queue there. One connection sends; a thread blocks in `queue_pop` through
another, without the GIL and without a time-out (a timed pop prints C++ warnings), and moves what comes into a queue of
the process, where receiving with a time-out costs nothing. A message to the own rank takes that queue directly, as it
is; the others are encoded here.

The store itself lets everybody in, so what comes through it is signed (`signed_messages.py`): all else is dropped.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Self

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]  # torch's own stubs hide them

from trainjobs.coordination import ConnectionLost
from trainjobs.coordination.messages import Message, Unreadable, decode, encode
from trainjobs.runtime.signed_messages import SignedMessages

_FOREVER = timedelta(days=365)
_JOIN_S = 1.0
_LOOK_S = 0.005


def _ignore() -> None:
    """Nobody wants to be told."""


class TorchCommunicator:
    """A rank's mailbox in rank 0's store. Make it with `connect`."""

    def __init__(
        self,
        rank: int,
        world_size: int,
        letters: SignedMessages,
        sender: TCPStore,
        receiver: TCPStore,
        server: TCPStore | None,
        on_stranger: Callable[[], None],
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self.refused = 0
        """Letters that no rank of this run has written, or that had been opened before."""
        self._letters = letters
        self._on_stranger = on_stranger
        self._sender = sender
        self._receiver = receiver
        self._server = server
        self._lost = False
        self._inbox: SimpleQueue[tuple[int, Message] | ConnectionLost] = SimpleQueue()
        self._thread = threading.Thread(target=self._pump, name=f"mailbox-{rank}", daemon=True)
        self._thread.start()

    @classmethod
    def connect(
        cls,
        rank: int,
        world_size: int,
        broadcast: Callable[[str | None], str],
        key: bytes,
        on_stranger: Callable[[], None] = _ignore,
        host: str | None = None,
        timeout_s: float = 60.0,
    ) -> Self:
        """Open every rank's mailbox. Collective: returns when all ranks are connected.

        Args:
            broadcast: gives rank 0's text to every rank; called once.
            key: of this run and new for each attempt, the same on every rank; see `SignedMessages`.
            on_stranger: called once, from a thread, when a letter comes that no rank has written.
            host: the address of rank 0 at which it listens, and at no other. Default: MASTER_ADDR, else loopback.
            timeout_s: seconds that the ranks wait for each other.

        Raises ConnectionLost, naming the ranks that have not come.
        """
        server, address = None, None
        if rank == 0:
            server, address = _serve(host or os.environ.get("MASTER_ADDR", "127.0.0.1"))
        host, _, port = broadcast(address).rpartition(":")
        sender, receiver = (_client(host, int(port), timeout_s) for _ in range(2))
        receiver.set_timeout(_FOREVER)
        _wait_for_all(sender, rank, world_size, timeout_s)
        return cls(rank, world_size, SignedMessages(key, rank), sender, receiver, server, on_stranger)

    def send(self, to_rank: int, message: Message) -> None:
        """See `Communicator.send`."""
        if to_rank == self.rank:
            self._inbox.put((self.rank, message))
            return
        try:
            self._sender.queue_push(f"to/{to_rank}", self._letters.seal(to_rank, encode(message)))
        except DistError as error:
            raise ConnectionLost(str(error)) from error

    def receive(self, timeout_s: float) -> tuple[int, Message] | None:
        """See `Communicator.receive`."""
        try:
            arrived = self._inbox.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(arrived, ConnectionLost):
            raise arrived
        return arrived

    def close(self, grace_s: float) -> None:
        """See `Communicator.close`. May be called twice."""
        if self._lost:
            return
        try:
            self._wait_for_the_others(grace_s)
            self._sender.queue_push(f"to/{self.rank}", self._letters.seal(self.rank, b""))
            self._thread.join(_JOIN_S)
            self._sender.set(f"closed/{self.rank}", "")
        except DistError:
            self._lost = True

    def _wait_for_the_others(self, grace_s: float) -> None:
        """Rank 0: its store must outlive their last pop, or C++ prints a stack trace in each of them."""
        end = time.monotonic() + grace_s
        others = [f"closed/{rank}" for rank in range(1, self.world_size)]
        while self.rank == 0 and others and not self._sender.check(others) and time.monotonic() < end:
            time.sleep(_LOOK_S)

    def _pump(self) -> None:
        """Move letters into the inbox, until one of this rank itself, which is that of `close`."""
        try:
            while (opened := self._opened()) is None or opened[0] != self.rank:
                if opened is not None:
                    self._deliver(*opened)
        except ConnectionLost as error:
            self._inbox.put(error)

    def _deliver(self, sender: int, words: bytes) -> None:
        with suppress(Unreadable):
            self._inbox.put((sender, decode(words)))

    def _opened(self) -> tuple[int, bytes] | None:
        try:
            letter = self._receiver.queue_pop(f"to/{self.rank}")
        except DistError as error:
            self._lost = True
            raise ConnectionLost("rank 0's store is gone") from error
        opened = self._letters.open(letter)
        if opened is None:
            self._refuse()
        return opened

    def _refuse(self) -> None:
        self.refused += 1
        if self.refused == 1:
            self._on_stranger()


def _serve(host: str) -> tuple[TCPStore, str]:
    listener = socket.create_server((host, 0))
    port = listener.getsockname()[1]
    server = TCPStore(
        host,
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
        timeout=_FOREVER,
    )
    return server, f"{host}:{port}"


def _client(host: str, port: int, timeout_s: float) -> TCPStore:
    return TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=timeout_s))


def _wait_for_all(store: TCPStore, rank: int, world_size: int, timeout_s: float) -> None:
    store.set(f"here/{rank}", "")
    names = [f"here/{other}" for other in range(world_size)]
    try:
        store.wait(names, timedelta(seconds=timeout_s))
    except DistError as error:
        missing = ", ".join(name.removeprefix("here/") for name in names if not store.check([name]))
        raise ConnectionLost(f"ranks {missing} have not connected within {timeout_s:g} s") from error
