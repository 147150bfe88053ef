"""A team on a real node: TrainJobs whose pods train, a volume for their checkpoints, and what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from testbed.images import PYTHON
from testbed.kubectl import Kubectl, KubectlError

from manifests import manifest
from trainjobs.runs.storage import storage_at
from trainjobs.runtime.checkpoint.store import Checkpoints

WAIT_S = 240.0
"""For a run's pods to start training; half a minute on an idle machine with 2 cores."""
ENVIRONMENT = [{"name": "PATH", "value": f"{Path(PYTHON).parent}:/usr/bin:/bin"}]
"""What an image would set."""


@dataclass(frozen=True)
class Team:
    """A namespace on a real node."""

    kubectl: Kubectl
    disk: Path
    """What the claim `checkpoints` is on this machine."""

    def status(self, name: str) -> dict[str, Any]:
        """The TrainJob's status."""
        status: dict[str, Any] = self.kubectl.get(f"trainjob/{name}").get("status", {})
        return status

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """One condition; empty when it was never true."""
        conditions = self.status(name).get("conditions", ())
        return next((each for each in conditions if each["type"] == kind), {})

    def step(self, name: str) -> int:
        """The latest step in the status; -1 before the first."""
        return int(self.status(name).get("training", {}).get("step", -1))

    def wait_until(self, truth: Callable[[], object], name: str, timeout_s: float = WAIT_S) -> None:
        """Wait for something to be true of a TrainJob; when it does not come, say all that is known of it."""
        deadline = time.monotonic() + timeout_s
        while not truth():
            assert time.monotonic() < deadline, self.story(name)
            time.sleep(0.25)

    def wait_for_step(self, name: str, step: int) -> None:
        """Wait until the status knows of a step."""
        self.wait_until(lambda: self.step(name) >= step, name)

    def wait_for(self, name: str, condition: str, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """Wait for a condition to be true, and return it."""
        self.wait_until(lambda: self.condition(name, condition).get("status") == "True", name, timeout_s)
        return self.condition(name, condition)

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Its pods that have not ended, in order."""
        found = self.kubectl.get("pods", f"--selector=trainjobs.dev/trainjob={name}")["items"]
        living = [pod for pod in found if pod["status"].get("phase") in {"Pending", "Running"}]
        return sorted(living, key=lambda pod: str(pod["metadata"]["name"]))

    def address(self, pod: str) -> str:
        """A pod's IP address."""
        return str(self.kubectl.get(f"pod/{pod}")["status"]["podIP"])

    def log(self, pod: str) -> str:
        """A pod's log, as far as there is one."""
        try:
            return self.kubectl("logs", pod)
        except KubectlError as error:
            return error.stderr

    def story(self, name: str) -> str:
        """All that is known of a TrainJob."""
        pods = [pod["metadata"]["name"] for pod in self.kubectl.get("pods")["items"]]
        parts = [
            json.dumps(self.status(name), indent=1),
            self.kubectl("get", "pods,jobs,events"),
            *(f"--- {pod}\n{self.log(pod)}" for pod in pods),
        ]
        return "\n".join(parts)

    def model(self, name: str) -> dict[str, Any]:
        """The weights at the end, and the history without its clock."""
        (folder,) = self.disk.glob(f"{name}-*")
        weights = torch.load(folder / "model.pt", weights_only=True)
        checkpoints = Checkpoints(storage_at(str(folder)), keep=2)
        history = checkpoints.load(checkpoints.all()[-1]).history
        return {
            "weights": {key: value.tolist() for key, value in weights.items()},
            "history": [(seen.epoch, seen.step, dict(seen.metrics)) for seen in history],
        }


def volume(disk: Path, namespace: str, claim: str) -> dict[str, Any]:
    """A volume for a claim, which every node of this machine reaches."""
    spec = {
        "accessModes": ["ReadWriteMany"],
        "capacity": {"storage": "10Gi"},
        "hostPath": {"path": str(disk)},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    metadata = {"name": f"checkpoints-of-{namespace}"}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def claim() -> dict[str, Any]:
    """The claim `checkpoints`."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "checkpoints"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def code(*files: Path) -> dict[str, Any]:
    """The ConfigMap `code`."""
    data = {file.name: file.read_text() for file in files}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": data}


def trainjob(name: str, trainer: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A TrainJob of 2 pods with the code and the claim of above."""
    trainer = {"numNodes": 2, "code": {"configMap": "code"}, "env": ENVIRONMENT, **trainer}
    return manifest(
        name, trainer=trainer, **{"checkpoint": {"storage": {"claimName": "checkpoints"}}, **spec}
    )
