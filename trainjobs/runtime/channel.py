"""The wire between the driver and the ranks: events up, requests down.

`multiprocessing.connection` over TCP, authenticated with a key that only this run knows; every message is one JSON
object. It exists beside Ray because `ray.train.report` reaches the driver at the controller's poll, and an actor as
mailbox costs a process: this costs two threads and delivers in under a millisecond.
"""

from __future__ import annotations

import errno
import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from queue import SimpleQueue
from typing import Any

Message = dict[str, Any]
GONE = (EOFError, OSError, TypeError)
"""How a connection says that it is closed: by the other side, by the system, or by another thread of this process."""
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED}
"""Why a listener may fail to accept a caller and still listen."""
ACCEPT_AGAIN_S = 0.1
"""How long it then waits for descriptors or memory."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the driver listens, and the key that lets a rank in."""

    host: str
    port: int
    key: bytes


class DriverEnd:
    """Listens for the ranks of one attempt.

    Args:
        host: the address to listen on: loopback when all workers are on this machine, else this node's own.
        receive: called with (rank, message), from a thread of each rank's connection; the message is None when the
            rank's process is gone without a good-bye, which the system tells at once.
    """

    def __init__(self, host: str, receive: Callable[[int, Message | None], None]) -> None:
        key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), backlog=64)
        self.address = Address(host, self._listener.address[1], key)
        self._receive = receive
        self._lock = threading.Lock()
        self._rank_zero: Connection[Any, Any] | None = None
        self._waiting: list[Message] = []
        self._connections: list[Connection[Any, Any]] = []
        self._readers: list[threading.Thread] = []
        welcome(self._listener, key, self._read)

    def request(self, message: Message) -> None:
        """Send to rank 0, or keep until it connects: a request made while the workers start is not lost."""
        with self._lock:
            if self._rank_zero is None:
                self._waiting.append(message)
                return
            with suppress(*GONE):
                self._rank_zero.send_bytes(json.dumps(message).encode())

    def drain(self, timeout_s: float) -> None:
        """Receive what ranks have sent before they ended."""
        deadline = time.monotonic() + timeout_s
        for reader in tuple(self._readers):
            reader.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self._listener.close()
        for connection in self._connections:
            with suppress(*GONE):
                connection.close()

    def _read(self, connection: Connection[Any, Any]) -> None:
        rank = None
        self._connections.append(connection)
        self._readers.append(threading.current_thread())
        try:
            rank = int(json.loads(connection.recv_bytes())["rank"])
            if rank == 0:
                self._greet(connection)
            while (message := json.loads(connection.recv_bytes())) is not None:
                self._receive(rank, message)
        except GONE:
            if rank is not None:
                self._receive(rank, None)

    def _greet(self, connection: Connection[Any, Any]) -> None:
        with self._lock:
            self._rank_zero = connection
            for message in self._waiting:
                connection.send_bytes(json.dumps(message).encode())
            self._waiting.clear()


class RankEnd:
    """A rank's connection to the driver. `send` never blocks; a driver that is gone is noticed by Ray, not here."""

    def __init__(self, address: Address, rank: int, receive: Callable[[Message], None]) -> None:
        self._connection = Client((address.host, address.port), authkey=address.key)
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()
        self._receive = receive
        self._writer = threading.Thread(target=self._write, name="channel-write", daemon=True)
        self.send({"rank": rank})
        self._writer.start()
        threading.Thread(target=self._read, name="channel-read", daemon=True).start()

    def send(self, message: Message) -> None:
        self._outbox.put(message)

    def close(self) -> None:
        """Deliver what was sent, say good-bye, hang up."""
        self._outbox.put(None)
        self._writer.join(timeout=10)
        with suppress(*GONE):
            self._connection.close()

    def _write(self) -> None:
        with suppress(*GONE):
            while (message := self._outbox.get()) is not None:
                self._connection.send_bytes(json.dumps(message).encode())
            self._connection.send_bytes(json.dumps(None).encode())

    def _read(self) -> None:
        with suppress(*GONE):
            while True:
                self._receive(json.loads(self._connection.recv_bytes()))


def welcome(listener: Listener, key: bytes, serve: Callable[[Connection[Any, Any]], object]) -> None:
    """Let in whoever knows the key, each served in a thread of its own, until the listener is closed.

    A stranger, or a caller that says nothing, keeps nobody else waiting.
    """

    def enter(connection: Connection[Any, Any]) -> None:
        try:
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
        except (*GONE, AuthenticationError):
            connection.close()
        else:
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()
            except GONE as error:
                if getattr(error, "errno", None) not in _PASSING:
                    return
                time.sleep(ACCEPT_AGAIN_S)
                continue
            threading.Thread(target=enter, args=(connection,), name="channel-serve", daemon=True).start()

    threading.Thread(target=accept, name="channel-accept", daemon=True).start()
