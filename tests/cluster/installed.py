"""The chart's release in the tests' cluster, and when the API server acts on it."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.controlplane import ControlPlane
from testbed.fakenodes import NAMESPACE_ANNOTATIONS, FakeNodes
from testbed.helm import Helm
from testbed.images import REPOSITORY
from testbed.kubectl import RESTRICTED, Kubectl, KubectlError, Manifest

from trainjobs.kube.transport import HttpTransport, connect

CHART = REPOSITORY / "charts" / "trainjobs"
NAMESPACE = "trainjobs-system"
IN_FORCE_S = 30
"""How long the API server may take to serve a new kind and to obey a new policy; a second on an idle machine."""


def install(helm: Helm, kubectl: Kubectl) -> Kubectl:
    """Install the chart as the tests have it; returns kubectl in the release's namespace."""
    inside = kubectl.create_namespace(NAMESPACE, RESTRICTED, NAMESPACE_ANNOTATIONS)
    helm.on(inside)("install", "trainjobs", str(CHART))
    in_force(kubectl)
    return inside


@contextmanager
def changed(helm: Helm, release: Kubectl, *settings: str) -> Iterator[None]:
    """The release with other values, such as `--set=replicaCount=1`, for a while."""
    upgrade = ("upgrade", "trainjobs", str(CHART))
    try:
        helm.on(release)(*upgrade, *settings)
        yield
    finally:
        helm.on(release)(*upgrade, "--reset-values")
        in_force(release)


@contextmanager
def operated_by_pods(helm: Helm, release: Kubectl, image: str, default_image: str) -> Iterator[None]:
    """The release as a user has it: its operators are pods on real nodes, for a while."""
    repository, _, tag = image.rpartition(":")
    place = [f"{name}-" for name in NAMESPACE_ANNOTATIONS]
    release("annotate", "namespace", NAMESPACE, *place)
    values = {"image.repository": repository, "image.tag": tag, "defaultImage": default_image}
    with changed(helm, release, *(f"--set-string={name}={value}" for name, value in values.items())):
        release("rollout", "status", "deployment/trainjobs-operator", "--timeout=120s")
        yield
        release("scale", "deployment/trainjobs-operator", "--replicas=0")
        release.wait("pods", "--selector=app.kubernetes.io/name=trainjobs", "--for=delete")
        place = [f"{name}={value}" for name, value in NAMESPACE_ANNOTATIONS.items()]
        release("annotate", "namespace", NAMESPACE, *place)


@contextmanager
def connected(
    control_plane: ControlPlane, account: str, *bound: str, connections: int = 16
) -> Iterator[HttpTransport]:
    """A connection with the rights of one of the chart's service accounts and no others."""
    token = control_plane.kubectl("create", "token", account, f"--namespace={NAMESPACE}", *bound).strip()
    transport = connect(str(control_plane.kubeconfig_with(account, token)), connections=connections)
    yield transport
    transport.close()


@contextmanager
def check_runs(control_plane: ControlPlane, release: Kubectl, nodes: FakeNodes) -> Iterator[None]:
    """What the pod of `helm test` would do on a real node: its own command, with its own rights."""

    def run() -> None:
        release.wait("pod/trainjobs-check", "--for=create")
        container = release.get("pod/trainjobs-check")["spec"]["containers"][0]
        python, *command = container["command"]
        assert python == "python"
        token = release("create", "token", "trainjobs-check").strip()
        config = control_plane.kubeconfig_with("trainjobs-check", token)
        with socket.create_server(("127.0.0.1", 0)) as answers, socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))  # as if a policy were enforced
            network = [f"--open=127.0.0.1:{port_of(answers)}", f"--closed=127.0.0.1:{port_of(silent)}"]
            done = subprocess.run(
                [sys.executable, *command, *container["args"], f"--kubeconfig={config}", *network],
                capture_output=True,
                text=True,
                check=False,
            )
        said.append(done.stdout + done.stderr)
        nodes.finish(release, "trainjobs-check", exit_code=done.returncode)

    said: list[str] = []
    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert [line.split()[-2:] for line in said[0].splitlines()][:2] == [
        ["invalid", "TrainJob"],
        ["with", "privileges"],
    ]
    assert "the operator ended a TrainJob" in said[0]
    assert "the network plugin enforces NetworkPolicies" in said[0]


def port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def in_force(kubectl: Kubectl) -> None:
    """Wait until the API server serves the chart's kinds and obeys its policies."""
    # kubectl wait breaks on a status that has no conditions yet.
    deadline = time.monotonic() + IN_FORCE_S
    while not all(_is_established(crd) for crd in kubectl.get("crds")["items"]):
        assert time.monotonic() < deadline, "a kind is not served"
        time.sleep(0.1)
    while "podTemplates.allowHostNamespaces" not in _answer(kubectl, _WITH_HOST_NETWORK):
        assert time.monotonic() < deadline, "a policy is not in force"
        time.sleep(0.1)


_WITH_HOST_NETWORK: Manifest = {
    "apiVersion": "trainjobs.dev/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "refused"},
    "spec": {
        "trainer": {"entrypoint": "train:train", "maxEpochs": 1},
        "podTemplate": {"spec": {"hostNetwork": True}},
    },
}


def _answer(kubectl: Kubectl, item: Manifest) -> str:
    try:
        return kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(item))
    except KubectlError as error:
        return error.stderr


def _is_established(crd: Manifest) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
