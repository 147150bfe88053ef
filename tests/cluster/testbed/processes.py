"""Server processes of the test bed: started, watched until ready, and always stopped.

A process is asked for only through a process id this module obtained by starting it; nothing here looks
processes up by name. The kernel kills every process when the test process dies (``PR_SET_PDEATHSIG``), so a
killed test run leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROBE_INTERVAL_S = 0.05
"""Pause between two readiness probes. A server offers no event for "ready", only a page to ask for."""

LOG_LINES_IN_ERRORS = 30

DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
"""Prefix of every command: a child of a killed test process is killed too.

A program and not a ``preexec_fn``, which is unsafe once the test process has threads.
"""


class ProcessFailedError(RuntimeError):
    """A process of the test bed ended or was not ready in time; the message carries the end of its log."""


@dataclass
class Process:
    """One running server, and where its output goes."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    forked: bool = False
    """Whether ``popen`` only waits for the server, its one child (as ``nsenter --pid`` does)."""

    @property
    def pid(self) -> int | None:
        """Process id of the server itself; None when it has ended or its wrapper has not started it yet."""
        if self.popen.poll() is not None:
            return None
        return only_child(self.popen.pid) if self.forked else self.popen.pid

    def wait_ready(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when ``is_ready()`` is true; fail at once when the process ends, or after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if self.popen.poll() is not None:
                raise ProcessFailedError(
                    f"{self.name} ended with code {self.popen.returncode}\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"{self.name} was not ready after {timeout_s:g} s\n{self.tail()}")
            time.sleep(PROBE_INTERVAL_S)

    def stop(self, grace_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL if the process still runs after ``grace_s`` seconds."""
        self._signal(signal.SIGTERM)
        try:
            self.popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.popen.wait(grace_s)

    def tail(self) -> str:
        """The last lines of the log, for error messages."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- the end of {self.log} ---", *lines[-LOG_LINES_IN_ERRORS:]])

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, number)
            elif self.popen.poll() is None:
                self.popen.kill()


def start(
    name: str,
    argv: Sequence[str | Path],
    logs: Path,
    *,
    inside: Sequence[str] = (),
    forks: bool = False,
) -> Process:
    """Start ``argv`` with its output in ``logs/<name>.log``.

    ``inside`` is a command prefix that enters the machine to run on; ``forks`` says that this prefix waits
    for the server as its child instead of becoming it.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    # A wrapper and the server each need the prefix: a fork does not inherit the parent-death signal.
    prefix = [*DIES_WITH_PARENT, *inside, *(DIES_WITH_PARENT if inside else ())]
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*prefix, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the test run, which then stops its servers in order
        )
    return Process(name, popen, log, forked=forks)


def stop_all(processes: list[Process]) -> None:
    """Stop in reverse order of start, and forget."""
    while processes:
        processes.pop().stop()


def answers(url: str) -> Callable[[], bool]:
    """A readiness probe: does ``url`` answer with status 200?

    Certificates are not checked: the probe asks only whether the server is up, often before its certificate
    authority is known.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )

    def probe() -> bool:
        try:
            with opener.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return probe


def only_child(pid: int) -> int | None:
    """Process id of the only child of ``pid``, or None."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None
