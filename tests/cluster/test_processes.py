"""A server of the test bed that fails says why, and one that is stopped is gone."""

from __future__ import annotations

import signal

import pytest
from testbed import processes


def test_a_server_that_ends_early_shows_its_log(tmp_path):
    process = processes.start("short", ["sh", "-c", "echo cannot bind >&2; exit 3"], tmp_path)
    with pytest.raises(processes.ProcessFailedError, match=r"(?s)short ended with code 3.*cannot bind"):
        process.wait_ready(lambda: False, timeout_s=60)


def test_a_server_that_never_gets_ready_shows_its_log(tmp_path):
    process = processes.start("slow", ["sh", "-c", "echo still loading; exec sleep 60"], tmp_path)
    try:
        process.wait_ready(process.log.read_text, timeout_s=60)
        with pytest.raises(processes.ProcessFailedError, match=r"(?s)not ready after 0.1 s.*still loading"):
            process.wait_ready(lambda: False, timeout_s=0.1)
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("script", "grace_s", "ended_by"),
    [
        ("echo ready; exec sleep 60", 10, signal.SIGTERM),
        ("trap '' TERM; echo ready; exec sleep 60", 0.2, signal.SIGKILL),
    ],
)
def test_stop_asks_first_and_then_kills(tmp_path, script, grace_s, ended_by):
    process = processes.start("server", ["sh", "-c", script], tmp_path)
    process.wait_ready(process.log.read_text, timeout_s=60)
    process.stop(grace_s)
    assert process.popen.returncode == -ended_by
    assert process.pid is None


def test_processes_stop_in_reverse_order_of_start(tmp_path):
    log = tmp_path / "order"
    script = f"trap 'echo $0 >>{log}; exit' TERM; echo ready; while :; do sleep 0.05; done"
    started = []
    for name in ("first", "second"):
        process = processes.start(name, ["sh", "-c", script, name], tmp_path)
        process.wait_ready(process.log.read_text, timeout_s=60)
        started.append(process)
    processes.stop_all(started)
    assert log.read_text().split() == ["second", "first"]
    assert started == []
