"""A real Kubernetes node: containerd, kubelet, kube-proxy and CoreDNS on a machine of its own.

The machine's pods are real processes. Network policies have no effect (the bridge plugin ignores them), and
nothing outside the cluster can be reached from a pod.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import images, processes
from testbed.binaries import program
from testbed.controlplane import SERVICE_NETWORK
from testbed.machines import Machine
from testbed.slots import MAX_NODES

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

READY_TIMEOUT_S = 120
"""How long one server, or the node as a whole, may take to become ready."""

LEASE_S = 20
"""The kubelet renews its lease four times in this time; less than the control plane's NODE_GRACE_PERIOD_S."""

CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where distributions put the network plugins."""

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

CONTAINERD_CONFIG = """
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
# The kubelet asks for scores below its own, which needs a capability that virtual machines may lack.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{files}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "{files}/container.json"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
"""

COREDNS_CONFIG = """
.:53 {{
    bind {address}
    errors
    ready {address}:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 0
    }}
}}
"""


class Node:
    """Node ``node-<index>`` of a cluster."""

    def __init__(self, control_plane: ControlPlane, index: int) -> None:
        slot = control_plane.slot
        self.control_plane = control_plane
        self.index = index
        self.name = f"node-{index}"
        self.address = slot.node_address(index)
        self.machine = Machine(self.name, slot.directory / self.name, slot.logs)
        self.files = self.machine.files / "kubernetes"

    def start(self) -> None:
        """Start the node, or start it again after ``cut_power``, and return when pods can be scheduled."""
        self.machine.power_on()
        self._connect()
        self._write_files()
        containerd = self.machine.start(
            "containerd", ["containerd", "--config", self.files / "containerd.toml"]
        )
        proxy = self._start_proxy()
        dns = self._start_dns()
        # The listening socket is enough: containerd answers what is queued there when it is ready.
        socket = Path(f"/proc/{self.machine.init_pid}/root{CONTAINERD_SOCKET}")
        containerd.wait_ready(socket.exists, READY_TIMEOUT_S)
        self.load(self.files / "image.tar")
        kubelet = self._start_kubelet()
        kubelet.wait_ready(processes.answers(f"http://{self.address}:10248/healthz"), READY_TIMEOUT_S)
        proxy.wait_ready(processes.answers(f"http://{self.address}:10256/healthz"), READY_TIMEOUT_S)
        dns.wait_ready(processes.answers(f"http://{self.address}:8181/ready"), READY_TIMEOUT_S)
        kubectl = self.control_plane.kubectl
        kubectl.wait(f"node/{self.name}", "--for=create", timeout_s=READY_TIMEOUT_S)
        kubectl.wait(f"node/{self.name}", "--for=condition=Ready", timeout_s=READY_TIMEOUT_S)

    def load(self, archive: Path) -> None:
        """Give the node the images of a docker-archive, as a pull from a registry would."""
        self.machine.run("ctr", "--namespace=k8s.io", "images", "import", archive)

    def stop(self) -> None:
        """Shut the machine down. Its pods end with it; the Node object remains."""
        self.machine.shut_down()

    def cut_power(self) -> None:
        """End everything on the node within one instant, as a power failure does."""
        self.machine.cut_power()

    def unplug(self) -> None:
        """Cut the node's network; its pods go on."""
        self.control_plane.machine.ip("link", "set", self.name, "down")

    def plug_in(self) -> None:
        """Connect the network again."""
        self.control_plane.machine.ip("link", "set", self.name, "up")

    def _connect(self) -> None:
        """Connect to the cluster's switch, and know the way to the pods of other nodes."""
        slot, ip, switch_ip = self.control_plane.slot, self.machine.ip, self.control_plane.machine.ip
        switch_ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0",
                  "netns", str(self.machine.init_pid))  # fmt: skip
        switch_ip("link", "set", self.name, "master", "switch", "up")
        ip("address", "add", f"{self.address}/24", "dev", "eth0")
        ip("link", "set", "eth0", "up")
        for other in set(range(MAX_NODES)) - {self.index}:
            ip("route", "add", slot.pod_network(other), "via", slot.node_address(other))
        # kube-proxy rewrites these addresses, but only of packets that have a way to go.
        ip("route", "add", SERVICE_NETWORK, "dev", "eth0")
        # Whoever asks for an address outside learns at once that there is none.
        ip("route", "add", "unreachable", "default")

    def _write_files(self) -> None:
        (self.files / "cni").mkdir(parents=True, exist_ok=True)
        plugins = next((path for path in CNI_DIRECTORIES if (path / "bridge").exists()), CNI_DIRECTORIES[0])
        config = CONTAINERD_CONFIG.format(
            socket=CONTAINERD_SOCKET,
            image=images.HOST_IMAGE,
            cni=plugins,
            files=self.files,
            runc=images.write_runc(self.files),
        )
        (self.files / "containerd.toml").write_text(config)
        (self.files / "container.json").write_text(json.dumps(self._container_spec()))
        (self.files / "cni" / "10-pods.conflist").write_text(json.dumps(self._pod_network()))
        (self.files / "resolv.conf").touch()
        images.write_archive(self.files / "image.tar")

    def _container_spec(self) -> dict[str, Any]:
        """containerd's default container, with the host's limit of open files."""
        spec: dict[str, Any] = json.loads(self.machine.run("ctr", "oci", "spec"))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": most, "hard": most}]
        return spec

    def _pod_network(self) -> dict[str, Any]:
        subnet = self.control_plane.slot.pod_network(self.index)
        addresses = {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
        # No masquerading: every machine of the cluster knows the way to the pods.
        bridge = {
            "type": "bridge",
            "bridge": "pods",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": addresses,
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}

    def _start_kubelet(self) -> processes.Process:
        slot = self.control_plane.slot
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "healthzBindAddress": self.address,
            # Only the cluster's own network reaches the kubelet.
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": slot.create_cgroup(self.name),
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "clusterDNS": [self.address],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.files / "resolv.conf"),
            # A developer's full disk is no reason to evict pods.
            "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%", "memory.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "nodeLeaseDurationSeconds": LEASE_S,
            "registerNode": True,
        }
        (self.files / "kubelet.json").write_text(json.dumps(config))
        return self.machine.start(
            "kubelet",
            [
                program("kubelet"),
                f"--config={self.files / 'kubelet.json'}",
                f"--kubeconfig={self.control_plane.kubeconfig_for(f'system:node:{self.name}')}",
                f"--hostname-override={self.name}",
                f"--node-ip={self.address}",
            ],
        )

    def _start_proxy(self) -> processes.Process:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(self.control_plane.kubeconfig_for("system:kube-proxy"))},
            "bindAddress": self.address,
            "healthzBindAddress": f"{self.address}:10256",
            "metricsBindAddress": f"{self.address}:10249",
            "clusterCIDR": self.control_plane.slot.all_pods,
            "hostnameOverride": self.name,
            # The kernel's own limits stay: they hold for the whole machine.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
        }
        (self.files / "kube-proxy.json").write_text(json.dumps(config))
        return self.machine.start(
            "kube-proxy", [program("kube-proxy"), f"--config={self.files / 'kube-proxy.json'}"]
        )

    def _start_dns(self) -> processes.Process:
        kubeconfig = self.control_plane.kubeconfig_for("coredns")
        text = COREDNS_CONFIG.format(address=self.address, kubeconfig=kubeconfig)
        (self.files / "Corefile").write_text(text)
        return self.machine.start("coredns", [program("coredns"), f"-conf={self.files / 'Corefile'}"])
