"""What this machine must have for the test bed, and a sentence about what it lacks."""

from __future__ import annotations

import os
import shutil
import sys

from testbed import binaries
from testbed.node import CNI_DIRECTORIES

CONTROL_PLANE_COMMANDS = ("ip", "nsenter", "openssl", "setpriv", "unshare")

NODE_COMMANDS = ("busybox", "conntrack", "containerd", "ctr", "iptables", "runc")

CONTROL_PLANE_TOOLS = (binaries.KUBERNETES, binaries.ETCD)

NODE_TOOLS = (*CONTROL_PLANE_TOOLS, binaries.COREDNS)

FAKE_NODES_TOOLS = (*CONTROL_PLANE_TOOLS, binaries.KWOK)


def lacking(commands: tuple[str, ...], tools: tuple[binaries.Tool, ...]) -> str | None:
    """Why a part of the bed that needs these cannot run here; None when it can."""
    if sys.platform != "linux":
        return "the test bed is made of Linux namespaces"
    if os.geteuid() != 0:
        return "the test bed needs root, for namespaces of its own"
    if absent := [command for command in commands if shutil.which(command) is None]:
        return f"the test bed needs the commands {', '.join(absent)}"
    if commands is NODE_COMMANDS and not any((path / "bridge").exists() for path in CNI_DIRECTORIES):
        return f"the test bed needs the network plugins in {' or '.join(map(str, CNI_DIRECTORIES))}"
    if shutil.which("go") is None and (unbuilt := binaries.unbuilt(tools)):
        return (
            f"no Go to build {', '.join(tool.folder for tool in unbuilt)}, see {binaries.DIRECTORY_VARIABLE}"
        )
    return None
