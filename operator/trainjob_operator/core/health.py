"""What Kubernetes and Prometheus ask the operator over HTTP."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Final, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

PATIENCE_S: Final = 5.0
"""Seconds in which a caller has to say what it wants: a silent one costs a thread."""
CALLERS: Final = 64
"""Connections at the same time: with one more, the oldest is closed. Who asks and listens has its answer at once."""
LONGEST_REQUEST: Final = 8192
"""Bytes that are read of a request; its headers say nothing here."""
_TEXT: Final = "text/plain"
SHARE: Final = 0.1
"""Part of a processor that making `/metrics` takes at most; for 5,000 TrainJobs it takes 0.3 s."""


class _MetricsPage:
    """`/metrics`: made anew so seldom that it takes SHARE of the time, however many ask, and by one at a time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._text = b""
        self._good_until = 0.0

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() >= self._good_until:
                began = time.thread_time()
                self._text = generate_latest(self._registry)
                self._good_until = time.monotonic() + (time.thread_time() - began) / SHARE
            return self._text


class _Request:
    """The first bytes that a caller says; then it looks as if that were all."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = LONGEST_REQUEST

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(min(limit, self._left))
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()


class _Server(ThreadingHTTPServer):
    """Callers may be strangers: they are few at a time, and what breaks their connection is no news."""

    daemon_threads = True
    request_queue_size = CALLERS
    """With Python's 5 a caller whom others crowd out is heard a second later, or three."""

    def __init__(self, *args: Any) -> None:
        self._open: deque[Any] = deque()
        self._lock = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.append(request)
            if len(self._open) > CALLERS:
                with suppress(OSError):
                    self._open.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock, suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


Answer: TypeAlias = tuple[int, bytes, str]
"""Status, body, and its content type."""
Pages: TypeAlias = Mapping[str, Callable[[], Answer]]
"""What there is to read, by path."""


def probes(alive: Callable[[], bool], ready: Callable[[], bool]) -> Pages:
    """`/healthz`: threads live. `/readyz`: caches are filled."""

    def told(holds: Callable[[], bool]) -> Answer:
        return (200, b"ok\n", _TEXT) if holds() else (503, b"not yet\n", _TEXT)

    return {"/healthz": partial(told, alive), "/readyz": partial(told, ready)}


def metrics(registry: CollectorRegistry) -> Pages:
    """`/metrics`, for Prometheus."""
    page = _MetricsPage(registry)
    return {"/metrics": lambda: (200, page.text(), CONTENT_TYPE_PLAIN_0_0_4)}


class PageServer:
    """Pages at a port, with callers of its own: those of one server crowd out none of another's."""

    def __init__(self, address: tuple[str, int], pages: Pages, patience_s: float = PATIENCE_S) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = patience_s

            def setup(self) -> None:
                super().setup()
                self.rfile: Any = _Request(self.rfile)

            def do_GET(self) -> None:
                page = pages.get(self.path)
                status, body, content_type = page() if page else (404, b"not found\n", _TEXT)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds: say nothing."""

        self._server = _Server(address, Handler)
        self.port = self._server.server_address[1]
        """The port in use; of interest when 0 was asked for."""

    def start(self) -> None:
        """Answer from now on."""
        name = f"port-{self.port}"
        threading.Thread(target=self._server.serve_forever, name=name, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
