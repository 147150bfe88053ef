"""The wire between the driver and the ranks: events up, requests down.

`multiprocessing.connection` over TCP, authenticated with a key that only this run knows; every message is one JSON
object, which `codec` writes and reads. It exists beside Ray because `ray.train.report` reaches the driver at the
controller's poll, and an actor as mailbox costs a process: this costs two threads and delivers in under a millisecond.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
import time
from collections import Counter
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

from trainjobs.api.reasons import Reason
from trainjobs.exits import Exit
from trainjobs.runs.codec import EVENTS, REQUESTS
from trainjobs.runs.events import Event, Failed
from trainjobs.runs.requests import Request

Message = dict[str, Any]
GONE = (EOFError, OSError, TypeError)
"""How a connection says that it is closed: by the other side, by the system, or by another thread of this process."""
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED}
"""Why a listener may fail to accept a caller and still listen."""
ACCEPT_AGAIN_S = 0.1
"""How long it then waits for descriptors or memory."""

PATIENCE_S = 10.0
"""In which a caller has to show that it knows the key: an honest one takes milliseconds."""
STRANGERS = 256
"""Callers that may be about to show it, each of which costs a thread and a descriptor; others wait to be accepted."""

WINDOW = 256
"""Messages of `send_in_turn` that may be on their way from one rank: what a report waits behind at most."""


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
        receive: called with (rank, event), from a thread of each rank's connection; also when the rank's process is
            gone without a good-bye, which the system tells at once.
    """

    def __init__(self, host: str, receive: Callable[[int, Event], None]) -> None:
        key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), backlog=64)
        self.address = Address(host, self._listener.address[1], key)
        self._receive = receive
        self._lock = threading.Lock()
        self._rank_zero: Connection[Any, Any] | None = None
        self._waiting: list[Request] = []
        self._connections: dict[int, Connection[Any, Any]] = {}
        self._readers: list[threading.Thread] = []
        self._taken: Counter[int] = Counter()
        welcome(self._listener, key, self._read)

    def request(self, request: Request) -> None:
        """Send to rank 0, or keep until it connects: a request made while the workers start is not lost."""
        with self._lock:
            if self._rank_zero is None:
                self._waiting.append(request)
                return
            with suppress(*GONE):
                _send(self._rank_zero, REQUESTS.to_dict(request))

    def took(self, rank: int) -> None:
        """An event of the rank's `send_in_turn` is dealt with: there is room for another one."""
        self._taken[rank] += 1
        if self._taken[rank] == WINDOW // 4:
            self._answer(self._connections[rank], {"taken": self._taken.pop(rank)})

    def drain(self, timeout_s: float) -> None:
        """Receive what ranks have sent before they ended."""
        deadline = time.monotonic() + timeout_s
        for reader in tuple(self._readers):
            reader.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self._listener.close()
        with suppress(OSError), socket.create_connection((self.address.host, self.address.port), PATIENCE_S):
            pass  # who waits for a caller sees only now that there is no listener any more
        for connection in list(self._connections.values()):
            with suppress(*GONE):
                connection.close()

    def _read(self, connection: Connection[Any, Any]) -> None:
        rank = None
        self._readers.append(threading.current_thread())
        try:
            rank = int(json.loads(connection.recv_bytes())["rank"])
            self._connections[rank] = connection
            if rank == 0:
                self._greet(connection)
            while (message := json.loads(connection.recv_bytes())) is not None:
                self._receive(rank, _event(rank, message))
            self._answer(connection, None)
        except (*GONE, ValueError, LookupError):  # a process that talks nonsense is as good as gone
            _hang_up(connection)
            if rank is not None:
                self._receive(rank, _death(rank))

    def _answer(self, connection: Connection[Any, Any], message: Message | None) -> None:
        with self._lock, suppress(*GONE):
            _send(connection, message)

    def _greet(self, connection: Connection[Any, Any]) -> None:
        with self._lock:
            self._rank_zero = connection
            for request in self._waiting:
                _send(connection, REQUESTS.to_dict(request))
            self._waiting.clear()


class RankEnd:
    """A rank's connection to the driver. `send` never blocks; a driver that is gone is noticed by Ray, not here.

    Args:
        receive: called with each request, in a thread.
    """

    def __init__(self, address: Address, rank: int, receive: Callable[[Request], None]) -> None:
        self._connection = Client((address.host, address.port), authkey=address.key)
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()
        self._receive = receive
        self._room = threading.Semaphore(WINDOW)
        self._gone = False
        self._writer = threading.Thread(target=self._write, name="channel-write", daemon=True)
        self._reader = threading.Thread(target=self._read, name="channel-read", daemon=True)
        self._outbox.put({"rank": rank})
        self._writer.start()
        self._reader.start()

    def send(self, event: Event) -> None:
        self._outbox.put(EVENTS.to_dict(event))

    def send_in_turn(self, event: Event) -> None:
        """Send what may wait, and wait while `WINDOW` of these are on their way: they never pile up.

        When the driver is gone they are dropped.
        """
        self._room.acquire()
        if self._gone:
            self._room.release()
        else:
            self.send(event)

    def close(self) -> None:
        """Deliver what was sent, say good-bye, and wait for the driver's: it has read all of it then."""
        self._outbox.put(None)
        self._writer.join(timeout=10)
        self._reader.join(timeout=10)
        with suppress(*GONE):
            self._connection.close()

    def _write(self) -> None:
        with suppress(*GONE):
            while (message := self._outbox.get()) is not None:
                _send(self._connection, message)
            _send(self._connection, None)

    def _read(self) -> None:
        with suppress(*GONE):
            while (message := json.loads(self._connection.recv_bytes())) is not None:
                if "taken" in message:
                    self._room.release(message["taken"])
                else:
                    self._receive(REQUESTS.from_dict(message))
        self._gone = True
        self._room.release()


def _send(connection: Connection[Any, Any], message: Message | None) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _event(rank: int, message: Any) -> Event:
    """What a rank told."""
    try:
        return EVENTS.from_dict(message)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"what rank {rank} told is no event ({error}): does its code change how Python writes JSON?"
        return Failed(rank, type(error).__name__, text, "", Exit.FAILURE)


def _death(rank: int) -> Event:
    """The silence of a process that died."""
    text = f"the connection of rank {rank} ended: its process was killed, ran out of memory, crashed, or is cut off"
    return Failed(rank, Reason.WORKER_DIED, text, "", Exit.FAILURE)


def welcome(
    listener: Listener,
    key: bytes,
    serve: Callable[[Connection[Any, Any]], object],
    patience_s: float = PATIENCE_S,
    strangers: int = STRANGERS,
) -> None:
    """Let in whoever knows the key, each served in a thread of its own, until the listener is closed.

    A stranger, or a caller that says nothing, keeps nobody else waiting, unless there are `strangers` of them at once:
    then for `patience_s` seconds at most.
    """
    room = threading.Semaphore(strangers)

    def enter(connection: Connection[Any, Any]) -> None:
        try:
            known = _knows(connection, key, patience_s)
        finally:
            room.release()
        if known:
            serve(connection)
        else:
            connection.close()

    def accept() -> None:
        while (connection := _accepted(listener)) is not None:
            room.acquire()
            threading.Thread(target=enter, args=(connection,), name="channel-serve", daemon=True).start()

    threading.Thread(target=accept, name="channel-accept", daemon=True).start()


def _accepted(listener: Listener) -> Connection[Any, Any] | None:
    """The next caller; None when the listener is closed."""
    while True:
        try:
            return listener.accept()
        except GONE as error:
            if getattr(error, "errno", None) not in _PASSING:
                return None
            time.sleep(ACCEPT_AGAIN_S)


def _knows(connection: Connection[Any, Any], key: bytes, patience_s: float) -> bool:
    """Whether the caller shows in time that it knows the key, and has been shown that we do."""
    in_time = threading.Timer(patience_s, _hang_up, (connection,))
    in_time.daemon = True
    in_time.start()
    try:
        deliver_challenge(connection, key)
        answer_challenge(connection, key)
    except (*GONE, AuthenticationError):
        return False
    finally:
        in_time.cancel()
    return True


def _hang_up(connection: Connection[Any, Any]) -> None:
    """Wake whoever reads from the connection, as closing it would not."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
