"""A place for one test bed on this machine: its number, addresses and files.

Several test runs may go on at once; each holds one slot, by a file lock that ends with its process. What a
killed run leaves in its slot, files and empty control groups, is removed by whoever takes the slot next.
(Processes, mounts and networks end with the run.)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SLOTS = 8

MAX_NODES = 4
"""Real nodes of one bed. Addresses, users and routes for all of them exist from the start."""

CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Slot:
    """Number ``number`` of the machine's places for test beds. Networks of two slots do not overlap."""

    number: int
    lock: IO[str]

    @property
    def directory(self) -> Path:
        """All files of the bed. Its ``logs`` remain until the slot is taken again."""
        return _directory(self.number)

    @property
    def logs(self) -> Path:
        """Where every process of the bed writes."""
        return self.directory / "logs"

    @property
    def network(self) -> str:
        """The first three bytes of the bed's machines' addresses."""
        return f"172.31.{255 - self.number}"

    @property
    def control_plane_address(self) -> str:
        return f"{self.network}.1"

    @property
    def host_address(self) -> str:
        """Address of the machine the tests run on, as seen from the bed."""
        return f"{self.network}.254"

    @property
    def host_link(self) -> str:
        """Name of this machine's network interface to the bed."""
        return f"testbed{self.number}"

    def node_address(self, index: int) -> str:
        return f"{self.network}.{10 + index}"

    def pod_network(self, index: int) -> str:
        """Network of the pods on node ``index``, within ``all_pods``."""
        return f"10.{240 + self.number}.{index}.0/24"

    @property
    def all_pods(self) -> str:
        return f"10.{240 + self.number}.0.0/16"

    @property
    def cgroup(self) -> str:
        """Name of the control group, in every hierarchy, below which all pods are."""
        return f"testbed{self.number}"

    def create_cgroup(self, name: str) -> str:
        """Create the control group ``name`` in every hierarchy and return its path within them."""
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, mounted_at, kind, *_ = line.split()
            if kind in ("cgroup", "cgroup2"):
                group = Path(mounted_at) / self.cgroup / name
                group.mkdir(parents=True, exist_ok=True)
                if kind == "cgroup2":
                    _delegate_controllers(group)
        return f"/{self.cgroup}/{name}"

    def clear(self) -> None:
        """Remove the network interface, the files, except the logs, and the empty control groups."""
        # The interface ends with the bed's network, but the kernel takes its time.
        subprocess.run(["ip", "link", "delete", self.host_link], capture_output=True, check=False)
        for path in self.directory.iterdir() if self.directory.exists() else ():
            if path != self.logs:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for root in (CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")):
            for directory, _, _ in os.walk(root, topdown=False):
                Path(directory).rmdir()

    def release(self) -> None:
        """Let another bed have the slot."""
        self.clear()
        self.lock.close()


def take() -> Slot:
    """Take the first free slot, without what its last owner left."""
    for number in range(SLOTS):
        directory = _directory(number)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = directory.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        slot = Slot(number, lock)
        slot.clear()
        shutil.rmtree(slot.logs, ignore_errors=True)
        slot.logs.mkdir()
        return slot
    raise RuntimeError(f"all {SLOTS} test beds of this machine are in use")


def _delegate_controllers(group: Path) -> None:
    """In cgroups version 2 a group has the controllers that each group above hands down."""
    for above in (group.parent.parent, group.parent):
        for controller in (above / "cgroup.controllers").read_text().split():
            (above / "cgroup.subtree_control").write_text(f"+{controller}")


def _directory(number: int) -> Path:
    return Path(tempfile.gettempdir()) / "trainjobs-testbed" / str(number)
