"""The link between the agents: pod 0 listens, every other pod calls and stays on.

A broken link is how an agent learns at once that another pod is gone. Messages are JSON objects, and both sides prove
that they know Ray's token.

    to pod 0      {"index": 1}               who calls
                  {"leaving": reason}        this pod was told to end: halt the run first
    to the others {"ray": "10.0.0.5:6379"}   join this head; anew if it is said again
                  {"released": true}         the run has halted: leave with 75
                  {"leave": true}            the run is over: leave with 0
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Final

from trainjobs.runs.channel import GONE, welcome

Message = dict[str, Any]

CALL_AGAIN_S: Final = 0.5
"""Seconds between two calls of a head that does not answer."""
SILENCE_S: Final = 30
"""Seconds after which a silent node's link counts as broken: 15 idle, then three probes."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the other end; `index` is the pod that said it."""

    index: int
    message: Message


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The link to a pod is broken."""

    index: int


class HeadLink:
    """Pod 0's end.

    Args:
        heard: called with `Received` and `Disconnected`, from other threads; the first of a pod is its `index`.
    """

    def __init__(
        self, address: tuple[str, int], key: bytes, heard: Callable[[Received | Disconnected], object]
    ) -> None:
        listener = Listener(address, backlog=64)
        self.address: tuple[str, int] = listener.address
        """Where it listens; asked for port 0 it has chosen one."""
        self._heard = heard
        self._lock = threading.Lock()
        self._pods: dict[int, Connection[Any, Any]] = {}
        welcome(listener, key, self._serve)

    @property
    def present(self) -> set[int]:
        """Pods whose link stands."""
        with self._lock:
            return set(self._pods)

    def say(self, message: Message, to: Iterable[int] | None = None) -> None:
        """To some pods, or to all that are there."""
        with self._lock:
            chosen = [
                self._pods[index] for index in (self._pods if to is None else to) if index in self._pods
            ]
        for connection in chosen:
            _send(connection, message)

    def _serve(self, connection: Connection[Any, Any]) -> None:
        messages = _messages(connection)
        first = next(messages, None)
        if first is None:
            return
        index = int(first["index"])
        with self._lock:
            self._pods[index] = connection
        self._heard(Received(index, first))
        for message in messages:
            self._heard(Received(index, message))
        with self._lock:
            current = self._pods.get(index) is connection
            if current:
                del self._pods[index]
        if current:  # else the pod's successor has called already
            self._heard(Disconnected(index))


class NodeLink:
    """Another pod's end: calls, and calls again when the link breaks.

    Args:
        heard: called with `Received` and `Disconnected` of pod 0, from another thread.
    """

    def __init__(
        self,
        address: tuple[str, int],
        key: bytes,
        index: int,
        heard: Callable[[Received | Disconnected], object],
    ) -> None:
        self._address = address
        self._key = key
        self._index = index
        self._heard = heard
        self._connection: Connection[Any, Any] | None = None
        threading.Thread(target=self._call, name="link", daemon=True).start()

    def say(self, message: Message) -> bool:
        """To pod 0; whether the link stands."""
        connection = self._connection
        return connection is not None and _send(connection, message)

    def _call(self) -> None:
        while True:
            with suppress(*GONE):
                connection = Client(self._address, authkey=self._key)
                _send(connection, {"index": self._index})
                self._connection = connection
                for message in _messages(connection):
                    self._heard(Received(0, message))
                self._connection = None
                self._heard(Disconnected(0))
            time.sleep(CALL_AGAIN_S)


def _messages(connection: Connection[Any, Any]) -> Iterator[Message]:
    """Until the link breaks."""
    _keep_alive(connection)
    with suppress(*GONE):
        while True:
            yield json.loads(connection.recv_bytes())


def _send(connection: Connection[Any, Any], message: Message) -> bool:
    try:
        connection.send_bytes(json.dumps(message).encode())
    except GONE:
        return False
    return True


def _keep_alive(connection: Connection[Any, Any]) -> None:
    """A node that loses its power says no good-bye."""
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_S // 2)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE_S // 6)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
