"""Computers made of Linux namespaces: own processes, network, mounts and host name.

The control plane and each node run on one. Nothing they do touches the machine the tests run on: addresses,
firewall rules, mounts and the files under /run, /var/lib and /var/log end with the namespaces, and these
end when process 1 of the machine is killed, which the kernel does when the test process dies. So a killed
test run leaves no pod behind, and a test can cut a node's power.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed import processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.processes import Process

NAMESPACES = ("--net", "--mount", "--uts", "--ipc")

KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
"""What a kubelet insists on. It finds the values in files of its own: tests do not change the kernel's."""

OWN_DIRECTORIES = ("var/lib", "var/log")
"""Directories that are empty on a new machine and are kept, when its power is cut, in its files."""

SET_UP = """
exec 3>&1 1>&2
hostname {name}
ip link set lo up
mount --bind {files}/var/lib /var/lib
mount --bind {files}/var/log /var/log
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns
{kernel_settings}
echo ready >&3
exec 3>&- env --ignore-signal=CHLD sleep infinity
"""
"""Script of process 1. At last it only ignores SIGCHLD, so that the kernel buries orphans by itself."""


@dataclass
class Machine:
    """One computer; ``files`` is the directory that holds its own part of the file system."""

    name: str
    files: Path
    logs: Path
    processes: list[Process] = field(default_factory=list)
    _unshare: subprocess.Popen[str] | None = None
    _init_pid: int | None = None

    def power_on(self) -> None:
        """Boot: create the namespaces. Nothing runs there yet but process 1."""
        for directory in OWN_DIRECTORIES:
            (self.files / directory).mkdir(parents=True, exist_ok=True)
        mounts = []
        for setting, value in KERNEL_SETTINGS.items():
            file = self.files / "sys" / setting
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{value}\n")
            mounts.append(f"mount --bind {shlex.quote(str(file))} /proc/sys/{setting}")
        script = SET_UP.format(
            name=self.name, files=shlex.quote(str(self.files)), kernel_settings="\n".join(mounts)
        )
        self._unshare = subprocess.Popen(
            [
                *processes.DIES_WITH_PARENT,
                *("unshare", "--fork", "--kill-child", *NAMESPACES, "--pid", "--mount-proc"),
                *("sh", "-euc", script),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,
        )  # fmt: skip
        assert self._unshare.stdout is not None
        if self._unshare.stdout.readline() != "ready\n":
            _, errors = self._unshare.communicate()
            raise processes.ProcessFailedError(f"machine {self.name} did not boot: {errors}")
        self._init_pid = processes.only_child(self._unshare.pid)

    @property
    def is_on(self) -> bool:
        return self._unshare is not None

    def start(self, name: str, argv: Sequence[str | Path]) -> Process:
        """Start a server on this machine."""
        process = processes.start(f"{self.name}-{name}", argv, self.logs, inside=self._enter(), forks=True)
        self.processes.append(process)
        return process

    def run(self, *argv: str | Path) -> str:
        """Run a command on this machine to its end and return its output."""
        return _run([*self._enter(), *map(str, argv)])

    def ip(self, *arguments: str) -> None:
        """Run ``ip`` in the network of this machine, seeing the process ids of the tests' machine."""
        _run(["nsenter", f"--target={self.init_pid}", "--net", "--", "ip", *arguments])

    @property
    def init_pid(self) -> int:
        """Id of process 1 of the machine, as the tests' machine numbers it."""
        assert self._init_pid is not None, f"machine {self.name} is off"
        return self._init_pid

    def shut_down(self) -> None:
        """Stop the servers in reverse order of start, then cut the power."""
        processes.stop_all(self.processes)
        self.cut_power()

    def cut_power(self) -> None:
        """Kill process 1, and with it, at once and by the kernel, everything on the machine."""
        if self._unshare is None:
            return
        # Process 1 is gone only when all others of its namespace are, and unshare waits for it.
        os.kill(self.init_pid, signal.SIGKILL)
        self._unshare.communicate()
        self._unshare = self._init_pid = None
        while self.processes:
            self.processes.pop().popen.wait()

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.init_pid}", *NAMESPACES, "--pid", "--"]


def run_on_host(*argv: str) -> None:
    """Run a command on the machine of the tests."""
    _run(list(argv))


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise RuntimeError(
            f"{shlex.join(argv)} ended with code {done.returncode}: {done.stderr}{done.stdout}"
        )
    return done.stdout
