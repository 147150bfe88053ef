"""Processes that an agent starts and hears of when they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from trainjobs.api.pod_contract import RAY_AGENT_PORT
from trainjobs.kube.resources import TRAINSWEEPS

END_S: Final = 10.0
"""Seconds between SIGTERM and SIGKILL."""
OBJECT_STORE_BYTES: Final = 256 * 1024 * 1024
"""Ray's shared memory. No training data passes through it, and its default is 30 % of the machine's memory."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended, with this exit code or minus the signal's number."""

    process: Process
    code: int


class Process:
    """A child process.

    Args:
        ended: called with `Ended`, from another thread.
        talks: whether `tell` can reach it and its standard output is the pod's log; standard error always is.
    """

    def __init__(self, command: list[str], ended: Callable[[Ended], object], *, talks: bool = False) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            command,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=None if talks else subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=lambda: ended(Ended(self, self._process.wait())), daemon=True).start()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Write one JSON line to its standard input."""
        assert self._process.stdin is not None  # noqa: S101 - made with talks=True
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once, with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.kill()


def ray_head(address: str, port: int, processes: int, ended: Callable[[Ended], object]) -> Process:
    """Ray's head on this node."""
    return _ray(["--head", f"--port={port}", "--include-dashboard=false"], address, processes, ended)


def ray_node(head: str, address: str, processes: int, ended: Callable[[Ended], object]) -> Process:
    """Ray on a node that joins the head at `host:port`."""
    return _ray([f"--address={head}"], address, processes, ended)


def _ray(role: list[str], address: str, processes: int, ended: Callable[[Ended], object]) -> Process:
    options = [
        *("--block", "--disable-usage-stats"),
        *(f"--node-ip-address={address}", f"--num-cpus={processes}"),
        *(f"--object-store-memory={OBJECT_STORE_BYTES}", f"--runtime-env-agent-port={RAY_AGENT_PORT}"),
    ]
    return Process([sys.executable, "-m", "trainjobs.pod.ray_start", *role, *options], ended)


def listen(heard: Callable[[dict[str, Any]], object]) -> None:
    """In a driver: call `heard` with each message that its agent has told it, in a thread."""

    def read() -> None:
        for line in sys.stdin:
            heard(json.loads(line))

    threading.Thread(target=read, name="agent", daemon=True).start()


DRIVERS: Final = {"": "trainjobs.pod.driver", TRAINSWEEPS.kind: "trainjobs.pod.sweep_driver"}
"""Programs, by what the pod belongs to; empty: a TrainJob."""


def driver(kind: str, *, crashed: bool, ended: Callable[[Ended], object]) -> Process:
    """The driver of this kind; `crashed`: the one before it ended without a word."""
    options = ["--crashed"] if crashed else []
    return Process([sys.executable, "-m", DRIVERS[kind], *options], ended, talks=True)
