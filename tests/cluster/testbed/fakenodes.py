"""Fake nodes for scale: objects whose pods "run", by kwok, without a process each.

A fake node's pods run until the test says how they end. Pods get there only from a namespace made for it (see
``NAMESPACE_ANNOTATIONS``), without a change to their manifest; no other pod does, so real and fake nodes live
in one cluster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import processes
from testbed.binaries import program

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane
    from testbed.kubectl import Kubectl, Manifest

PREFIX = "testbed.local"

LABEL = f"{PREFIX}/fake"
"""Label and taint of every fake node."""

NAMESPACE_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/node-selector": f"{LABEL}=true",
    "scheduler.alpha.kubernetes.io/defaultTolerations": json.dumps([{"key": LABEL, "operator": "Exists"}]),
}
"""Annotations of a namespace all of whose pods go to fake nodes. Two admission plugins read them."""

PORT = 10247

STAGES = Path(__file__).with_name("stages.yaml")

READY_TIMEOUT_S = 60


class FakeNodes:
    """kwok on the control plane's machine, and the nodes it keeps ready."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.control_plane = control_plane
        self.count = 0

    def start(self) -> None:
        """Start kwok. There are no nodes yet."""
        address = f"{self.control_plane.slot.control_plane_address}:{PORT}"
        kwok = self.control_plane.machine.start(
            "kwok",
            [
                program("kwok"),
                f"--kubeconfig={self.control_plane.kubeconfig_for('kwok')}",
                f"--config={STAGES}",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                f"--server-address={address}",
                "--cidr=100.64.0.1/16",
                "--node-ip=100.64.0.1",
                # Without leases the nodes would count as lost again and again, and their pods as not ready.
                "--node-lease-duration-seconds=40",
            ],
        )
        kwok.wait_ready(processes.answers(f"http://{address}/healthz"), READY_TIMEOUT_S)

    def add(self, count: int, *, cpu: int = 64, gpus: int = 8, pods: int = 110) -> list[str]:
        """Add ``count`` nodes of that capacity each, and return their names when they are ready."""
        names = [f"fake-{index}" for index in range(self.count, self.count + count)]
        self.count += count
        capacity = {"cpu": str(cpu), "memory": "512Gi", "pods": str(pods), "nvidia.com/gpu": str(gpus)}
        self.control_plane.kubectl.create(*(_node(name, capacity) for name in names))
        nodes = [f"node/{name}" for name in names]
        self.control_plane.kubectl.wait(*nodes, "--for=condition=Ready", timeout_s=READY_TIMEOUT_S)
        return names

    def finish(self, kubectl: Kubectl, *pods: str, exit_code: int = 0, message: str | None = None) -> None:
        """End pods in the namespace of ``kubectl``: names, or ``--selector=…`` or ``--all``.

        ``message`` becomes the termination message of every container.
        """
        annotations = [f"{PREFIX}/exit-code={exit_code}"]
        if message is not None:
            annotations.append(f"{PREFIX}/message={message}")
        kubectl("annotate", "--overwrite", "pods", *pods, *annotations)


def _node(name: str, capacity: dict[str, str]) -> Manifest:
    labels = {LABEL: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": [{"key": LABEL, "value": "true", "effect": "NoSchedule"}]},
        "status": {"allocatable": capacity, "capacity": capacity},
    }
