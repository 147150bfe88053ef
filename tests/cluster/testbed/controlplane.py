"""A Kubernetes control plane: etcd, API server, controller manager and scheduler, on a machine of its own.

The controller manager is real, so Jobs get pods, owners' dependents are collected and namespaces empty. So
are the API server's admission plugins: Pod Security and ValidatingAdmissionPolicy are tested, not imitated.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from functools import cached_property
from typing import TYPE_CHECKING

from testbed import processes
from testbed.binaries import program
from testbed.kubectl import Kubectl
from testbed.machines import Machine, run_on_host
from testbed.slots import MAX_NODES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.slots import Slot

PORT = 6443

SERVICE_NETWORK = "10.96.0.0/16"

READY_TIMEOUT_S = 120
"""How long one server may take to become ready; seconds on an idle machine."""

MASTERS = "system:masters"
"""Group with all rights. The bed's own programs belong to it: their rights are not what tests are about."""

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    ],
}
"""What is recorded: which service account asked for what. Kubernetes' own controllers are nobody's subject."""

NODE_GRACE_PERIOD_S = 25
"""How long a silent node counts as ready (Kubernetes: 50). Tests of node loss wait for it."""

POD_TOLERATION_S = 10
"""How long pods stay bound to a node that is not ready (Kubernetes: 300)."""


RAISED_RATES = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""Far above the defaults of controllers (20 requests a second) and scheduler (50), so that a hundred Jobs at once
measure the operator and not these."""


class ControlPlane:
    """One cluster's control plane. ``machine`` also holds the network switch of the cluster's machines."""

    def __init__(
        self, slot: Slot, apiserver_options: Sequence[str] = (), default_rates: bool = False
    ) -> None:
        self.slot = slot
        self._apiserver_options = apiserver_options
        self._default_rates = default_rates
        self.machine = Machine("control-plane", slot.directory / "control-plane", slot.logs)
        self.files = self.machine.files / "kubernetes"
        self._tokens: dict[str, tuple[str, str]] = {}
        self._kubeconfigs: dict[str, Path] = {}

    @property
    def url(self) -> str:
        """Address of the API server, for this machine, for nodes and for pods."""
        return f"https://{self.slot.control_plane_address}:{PORT}"

    @property
    def audit_log(self) -> Path:
        """What service accounts asked of the API server, a JSON object a line (see AUDIT_POLICY)."""
        return self.slot.logs / "audit.jsonl"

    @cached_property
    def kubeconfig(self) -> Path:
        """A kubeconfig with all rights."""
        return self.kubeconfig_for("admin")

    @cached_property
    def kubectl(self) -> Kubectl:
        """kubectl with all rights, for the ``default`` namespace."""
        return Kubectl(program("kubectl"), self.kubeconfig)

    def start(self) -> None:
        """Start everything and return when it is ready."""
        self.machine.power_on()
        self._connect_host()
        self.files.mkdir(parents=True, exist_ok=True)
        self._start_etcd()
        self._start_apiserver()
        self._start_controllers()
        self.kubectl.wait("serviceaccount/default", "--for=create")

    def stop(self) -> None:
        """Stop everything; nothing of the control plane remains."""
        self.machine.shut_down()

    def kubeconfig_for(self, user: str) -> Path:
        """A kubeconfig for one of the users the API server was started with."""
        if user not in self._kubeconfigs:
            self._kubeconfigs[user] = self.kubeconfig_with(user, self._tokens[user][0])
        return self._kubeconfigs[user]

    def kubeconfig_with(self, user: str, token: str) -> Path:
        """A kubeconfig for whoever has the token; ``user`` only names it."""
        path = self.files / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.files / "apiserver.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def _connect_host(self) -> None:
        """Give the cluster a switch, and this machine and the control plane a port on it.

        No frame of it passes this machine's own firewall rules, which may drop what is forwarded.
        """
        ip, slot = self.machine.ip, self.slot
        ip("link", "add", "switch", "type", "bridge")
        ip("address", "add", f"{slot.control_plane_address}/24", "dev", "switch")
        ip("link", "set", "switch", "up")
        run_on_host("ip", "link", "add", slot.host_link, "type", "veth",
                    "peer", "name", "host", "netns", str(self.machine.init_pid))  # fmt: skip
        ip("link", "set", "host", "master", "switch", "up")
        run_on_host("ip", "address", "add", f"{slot.host_address}/24", "dev", slot.host_link)
        run_on_host("ip", "link", "set", slot.host_link, "up")
        for index in range(MAX_NODES):
            route = (slot.pod_network(index), "via", slot.node_address(index))
            ip("route", "add", *route)
            run_on_host("ip", "route", "add", *route)

    def _start_etcd(self) -> None:
        client = "http://127.0.0.1:2379"
        etcd = self.machine.start(
            "etcd",
            [
                program("etcd"),
                f"--data-dir={self.files / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                # A metrics address that this machine can ask; clients are served on the loopback only.
                f"--listen-metrics-urls=http://{self.slot.control_plane_address}:2381",
                "--unsafe-no-fsync",
                # Thousands of jobs within minutes keep more history than the default of 2 GiB holds.
                f"--quota-backend-bytes={8 * 2**30}",
                "--log-level=warn",
            ],
        )
        etcd.wait_ready(
            processes.answers(f"http://{self.slot.control_plane_address}:2381/health"), READY_TIMEOUT_S
        )

    def _start_apiserver(self) -> None:
        address = self.slot.control_plane_address
        signing_key = self.files / "service-accounts.key"
        subprocess.run(
            ["openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", signing_key],
            check=True,
            capture_output=True,
        )
        apiserver = self.machine.start(
            "apiserver",
            [
                program("kube-apiserver"),
                "--etcd-servers=http://127.0.0.1:2379",
                f"--bind-address={address}",
                f"--advertise-address={address}",
                f"--secure-port={PORT}",
                f"--cert-dir={self.files}",
                f"--service-cluster-ip-range={SERVICE_NETWORK}",
                f"--token-auth-file={self._write_tokens()}",
                "--authorization-mode=Node,RBAC",
                # The last two put a whole namespace's pods on fake nodes, by annotations of the namespace.
                "--enable-admission-plugins=NodeRestriction,PodNodeSelector,PodTolerationRestriction",
                f"--audit-policy-file={self._write_audit_policy()}",
                f"--audit-log-path={self.audit_log}",
                f"--default-not-ready-toleration-seconds={POD_TOLERATION_S}",
                f"--default-unreachable-toleration-seconds={POD_TOLERATION_S}",
                "--kubelet-preferred-address-types=InternalIP",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={signing_key}",
                f"--service-account-signing-key-file={signing_key}",
                "--shutdown-watch-termination-grace-period=0s",
                "--profiling=false",
                *self._apiserver_options,
            ],
        )
        apiserver.wait_ready(processes.answers(f"{self.url}/readyz"), READY_TIMEOUT_S)

    def _start_controllers(self) -> None:
        address = self.slot.control_plane_address
        controllers = self.machine.start(
            "controller-manager",
            [
                program("kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig_for('system:kube-controller-manager')}",
                f"--bind-address={address}",
                "--leader-elect=false",
                "--use-service-account-credentials",
                f"--service-account-private-key-file={self.files / 'service-accounts.key'}",
                f"--root-ca-file={self.files / 'apiserver.crt'}",
                f"--node-monitor-grace-period={NODE_GRACE_PERIOD_S}s",
                *(() if self._default_rates else (*RAISED_RATES, "--concurrent-job-syncs=20")),
            ],
        )
        scheduler = self.machine.start(
            "scheduler",
            [
                program("kube-scheduler"),
                f"--kubeconfig={self.kubeconfig_for('system:kube-scheduler')}",
                f"--bind-address={address}",
                "--leader-elect=false",
                *(() if self._default_rates else RAISED_RATES),
            ],
        )
        controllers.wait_ready(processes.answers(f"https://{address}:10257/healthz"), READY_TIMEOUT_S)
        scheduler.wait_ready(processes.answers(f"https://{address}:10259/healthz"), READY_TIMEOUT_S)

    def _write_audit_policy(self) -> Path:
        path = self.files / "audit-policy.json"
        path.write_text(json.dumps(AUDIT_POLICY))
        return path

    def _write_tokens(self) -> Path:
        """The users of the cluster, each with a secret of this run. Nodes are ``node-0``, ``node-1``, …."""
        groups = {"admin": MASTERS, "system:kube-controller-manager": "", "system:kube-scheduler": ""}
        groups |= {"system:kube-proxy": "", "coredns": MASTERS, "kwok": MASTERS}
        groups |= {f"system:node:node-{index}": "system:nodes" for index in range(MAX_NODES)}
        self._tokens = {user: (secrets.token_urlsafe(24), group) for user, group in groups.items()}
        path = self.files / "tokens.csv"
        path.touch(mode=0o600)
        path.write_text(
            "".join(f"{token},{user},{user},{group}\n" for user, (token, group) in self._tokens.items())
        )
        return path
