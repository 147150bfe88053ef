"""Probes over HTTP."""

import http.client
import socket
import time

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from trainjob_operator.core.health import CALLERS, LONGEST_REQUEST, HealthServer


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def ask(registry):
    """`ask(path)` is (status, body); `ready` is what /readyz reports."""
    Gauge("answer", "To everything.", registry=registry).set(42)
    ready = []
    server = HealthServer(("127.0.0.1", 0), lambda: True, lambda: bool(ready), registry, patience_s=0.2)
    server.start()

    def get(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    get.ready, get.port = ready, server.port
    yield get
    server.stop()


def test_ready_is_apart_from_alive(ask):
    assert (ask("/healthz")[0], ask("/readyz")[0]) == (200, 503)
    ask.ready.append(True)
    assert ask("/readyz") == (200, "ok\n")


def test_metrics_are_there_and_nothing_else(ask):
    assert "answer 42.0" in ask("/metrics")[1]
    assert ask("/debug")[0] == 404


def test_however_often_somebody_asks_for_metrics_they_take_a_tenth_of_the_time(ask, registry):
    """Any pod may ask, and while they are made no probe is answered."""
    made = []

    class Slow(Collector):
        def collect(self):
            made.append(len(made))
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass
            return [GaugeMetricFamily("made", "Pages.", len(made))]

    registry.register(Slow())
    made.clear()  # a registry looks at a new collector
    for _ in range(5):
        assert "made 1.0" in ask("/metrics")[1]
    assert len(made) == 1


def test_a_caller_that_says_nothing_is_let_go(ask):
    with socket.create_connection(("127.0.0.1", ask.port), timeout=10) as silent:
        assert silent.recv(1) == b""


@pytest.fixture
def call():
    """`call(text)` is a connection to a server with all the patience, on which so much was said."""
    server = HealthServer(("127.0.0.1", 0), lambda: True, lambda: True, CollectorRegistry(), patience_s=600)
    server.start()
    calls = []

    def said(text: bytes) -> socket.socket:
        calls.append(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        calls[-1].sendall(text)
        return calls[-1]

    yield said
    for each in calls:
        each.close()
    server.stop()


def test_of_callers_that_never_finish_the_oldest_makes_room(call):
    first, *_, last = [call(b"GET /healthz") for _ in range(CALLERS + 1)]
    assert first.recv(1) == b""
    last.sendall(b" HTTP/1.0\r\n\r\n")
    assert last.recv(12) == b"HTTP/1.0 200"


def test_a_request_without_end_is_read_only_as_far_as_it_may_be_long(call):
    caller = call(b"GET /healthz HTTP/1.0\r\na: ".ljust(LONGEST_REQUEST, b"x"))
    assert caller.recv(12) == b"HTTP/1.0 200"
