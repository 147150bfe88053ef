"""The operator as a process of its own on a test bed, and what it costs: processor, memory, requests."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from installed import NAMESPACE, install
from testbed import controlplane, processes
from testbed.bed import Bed
from testbed.binaries import program
from testbed.helm import Helm
from testbed.images import REPOSITORY

from trainjobs.kube.transport import ACCOUNT as ACCOUNT_FILES

ACCOUNT = "trainjobs-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
PORT = 8081
READY_S = 120


class Audit:
    """The API server's own record of what the operator asked of it."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "audit.log"
        policy = folder / "policy.yaml"
        rule = {"level": "Metadata", "users": [USER], "omitStages": ["RequestReceived", "ResponseStarted"]}
        policy.write_text(
            json.dumps(
                {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [rule, {"level": "None"}]}
            )
        )
        self.options = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._log}",
            "--audit-log-maxsize=2000",
        )
        """Flags of kube-apiserver."""

    def requests(self, namespace: str = "") -> Counter[str]:
        """Requests until now by what they are: "create jobs", "patch trainjobs/status". The Lease is left out."""
        found: Counter[str] = Counter()
        for line in self._log.read_text().splitlines():
            event = json.loads(line)
            place = event.get("objectRef", {})
            if place.get("resource") == "leases" or (namespace and place.get("namespace") != namespace):
                continue
            parts = (place.get("resource", ""), place.get("subresource", ""))
            found[f"{event['verb']} {'/'.join(part for part in parts if part)}"] += 1
        return found

    def writes(self) -> int:
        """How many of them write."""
        return sum(
            count
            for what, count in self.requests().items()
            if what.split()[0] not in ("get", "list", "watch")
        )


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the operator has used so far."""

    cpu_s: float
    peak_mib: float
    """The most memory that it ever held (RSS)."""

    def and_then(self, other: Footprint) -> Footprint:
        """With that of another process after it."""
        return Footprint(self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))


class OperatorProcess:
    """`python -m trainjob_operator` as in its pod, with the rights that the chart gives it; the chart is installed for
    that."""

    def __init__(self, bed: Bed) -> None:
        control_plane, host = bed.control_plane, bed.slot.control_plane_address
        self._machine = control_plane.machine
        self._url = f"http://{host}:{PORT}"
        self._environment = [
            f"KUBERNETES_SERVICE_HOST={host}",
            f"KUBERNETES_SERVICE_PORT={controlplane.PORT}",
        ]
        release = install(Helm(program("helm")), control_plane.kubectl)
        token = release("create", "token", ACCOUNT, "--duration=24h").strip()
        self._machine.run("mkdir", "--parents", ACCOUNT_FILES)
        self._machine.run("sh", "-c", f"printf %s {token} > {ACCOUNT_FILES}/token")
        self._machine.run("cp", control_plane.files / "apiserver.crt", ACCOUNT_FILES / "ca.crt")
        self._process: processes.Process | None = None
        self._earlier = Footprint(0.0, 0.0)

    def start(self, checkout: Path = REPOSITORY) -> float:
        """Start that of a checkout; seconds until its caches are filled (`/readyz`), those of the interpreter's start
        included."""
        began = time.monotonic()
        self._process = self._machine.start(
            "operator",
            [
                *("env", *self._environment, f"PYTHONPATH={checkout}:{checkout / 'operator'}"),
                *(sys.executable, "-P", "-m", "trainjob_operator", "--namespace", NAMESPACE),
                *("--health-port", str(PORT), "--default-image", "testbed.local/host:1"),
            ],
        )
        self._process.wait_ready(processes.answers(f"{self._url}/readyz"), READY_S)
        return time.monotonic() - began

    def stop(self) -> None:
        assert self._process is not None
        self._earlier = self.footprint()
        self._process.stop(grace_s=20)
        self._machine.processes.remove(self._process)

    def footprint(self) -> Footprint:
        """Over all its restarts."""
        return self._earlier.and_then(self.footprint_now())

    def footprint_now(self) -> Footprint:
        """Since it was started last."""
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        peak_mib = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        return Footprint(times.user + times.system, peak_mib)


def folder() -> tempfile.TemporaryDirectory[str]:
    """For the audit log."""
    return tempfile.TemporaryDirectory(prefix="operator-scale-")


def per_job(requests: Mapping[str, int], count: int, *what: str) -> float:
    """Requests of some kinds for each job."""
    return round(sum(requests.get(each, 0) for each in what) / count, 3)
