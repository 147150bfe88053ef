"""What Kubernetes and Prometheus ask the operator over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

PATIENCE_S: Final = 5.0
"""Seconds in which a caller has to say what it wants: a silent one costs a thread."""


class HealthServer:
    """`/healthz`: threads live. `/readyz`: caches are filled. `/metrics`."""

    def __init__(
        self, address: tuple[str, int], alive: Callable[[], bool], ready: Callable[[], bool],
        registry: CollectorRegistry, patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        class Handler(BaseHTTPRequestHandler):
            timeout = patience_s

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._say(200, generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)
                    return
                holds = {"/healthz": alive, "/readyz": ready}.get(self.path)
                if holds is None:
                    self._say(404, b"not found\n")
                else:
                    self._say(*((200, b"ok\n") if holds() else (503, b"not yet\n")))

            def _say(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds: say nothing."""

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        """The port in use; of interest when 0 was asked for."""

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
