"""Metrics and probes over HTTP."""

import http.client
import socket
import threading
import time
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from trainjob_operator.core.health import CALLERS, LONGEST_REQUEST, PageServer, metrics, probes


@pytest.fixture
def serve():
    """`serve(pages)` is a server of them, with all the patience if nothing else is asked for."""
    servers = []

    def start(pages, patience_s: float = 600) -> PageServer:
        servers.append(PageServer(("127.0.0.1", 0), pages, patience_s))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def call():
    """`call(server, text)` is a connection on which so much was said."""
    calls = []

    def said(server: PageServer, text: bytes) -> socket.socket:
        calls.append(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        calls[-1].sendall(text)
        return calls[-1]

    yield said
    for each in calls:
        each.close()


def ask(server: PageServer, path: str) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_ready_is_apart_from_alive(serve):
    ready = []
    health = serve(probes(lambda: True, lambda: bool(ready)))
    assert (ask(health, "/healthz")[0], ask(health, "/readyz")[0]) == (200, 503)
    ready.append(True)
    assert ask(health, "/readyz") == (200, "ok\n")


def test_each_port_has_its_pages_and_nothing_else(serve):
    registry = CollectorRegistry()
    Gauge("answer", "To everything.", registry=registry).set(42)
    prometheus, health = serve(metrics(registry)), serve(probes(lambda: True, lambda: True))
    assert "answer 42.0" in ask(prometheus, "/metrics")[1]
    assert {ask(prometheus, path)[0] for path in ("/healthz", "/readyz", "/debug")} == {404}
    assert {ask(health, path)[0] for path in ("/metrics", "/debug")} == {404}


def test_however_often_somebody_asks_for_metrics_they_take_a_tenth_of_the_time(serve):
    """Any pod may ask."""
    made = []

    class Slow(Collector):
        def collect(self):
            made.append(len(made))
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass
            return [GaugeMetricFamily("made", "Pages.", len(made))]

    registry = CollectorRegistry()
    registry.register(Slow())
    made.clear()  # a registry looks at a new collector
    server = serve(metrics(registry))
    for _ in range(5):
        assert "made 1.0" in ask(server, "/metrics")[1]
    assert len(made) == 1


def test_who_crowds_the_port_for_metrics_keeps_no_probe_from_its_answer(serve, call):
    """Callers come back at once whenever they are let go, and nobody is answered there: a slow probe outlives them."""
    stuck, came, ended = threading.Event(), threading.Semaphore(0), threading.Event()

    def hangs():
        came.release()
        stuck.wait()
        return 200, b"", "text/plain"

    crowded, health = serve({"/metrics": hangs}), serve(probes(lambda: True, lambda: True))

    def comes_back() -> None:
        while not ended.is_set():
            with suppress(OSError, http.client.HTTPException):
                ask(crowded, "/metrics")

    slow = call(health, b"GET /healthz")
    callers = [threading.Thread(target=comes_back) for _ in range(CALLERS + 1)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(3 * CALLERS):  # each beyond the first CALLERS is one that was let go and came back
            assert came.acquire(timeout=60)
        slow.sendall(b" HTTP/1.0\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.0 200"
        assert ask(health, "/readyz")[0] == 200
    finally:
        ended.set()
        stuck.set()
        for caller in callers:
            caller.join()


def test_a_caller_that_says_nothing_is_let_go(serve, call):
    assert call(serve({}, patience_s=0.2), b"").recv(1) == b""


def test_of_callers_that_never_finish_the_oldest_makes_room(serve, call):
    health = serve(probes(lambda: True, lambda: True))
    first, *_, last = [call(health, b"GET /healthz") for _ in range(CALLERS + 1)]
    assert first.recv(1) == b""
    last.sendall(b" HTTP/1.0\r\n\r\n")
    assert last.recv(12) == b"HTTP/1.0 200"


def test_a_request_without_end_is_read_only_as_far_as_it_may_be_long(serve, call):
    health = serve(probes(lambda: True, lambda: True))
    caller = call(health, b"GET /healthz HTTP/1.0\r\na: ".ljust(LONGEST_REQUEST, b"x"))
    assert caller.recv(12) == b"HTTP/1.0 200"
