"""What the tests on a real API server share besides the test bed's own fixtures."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.fixtures import NewNamespace
from testbed.kubectl import RESTRICTED, Kubectl, Manifest
from testbed.pods import locked_down

from trainjob_operator.client import Client
from trainjob_operator.transport import HttpTransport, connect

CRDS = Path(__file__).parents[2] / "manifests" / "crds"


ESTABLISHED_S = 30
"""How long the API server may take to serve a new kind; a second on an idle machine."""


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> Kubectl:
    """A cluster that knows TrainJobs."""
    files = sorted(CRDS.glob("*.yaml"))
    kubectl.apply(*files)
    for file in files:
        # kubectl wait breaks on a status that has no conditions yet.
        deadline = time.monotonic() + ESTABLISHED_S
        while not _is_established(kubectl.get(f"crd/{file.stem}")):
            assert time.monotonic() < deadline, f"{file.name} is not served"
            time.sleep(0.1)
    return kubectl


@pytest.fixture
def team(crds: Kubectl, namespace: Kubectl) -> Kubectl:
    """kubectl in a namespace of the test's own, in a cluster that knows TrainJobs."""
    return namespace


@pytest.fixture
def transport(crds: Kubectl) -> Iterator[HttpTransport]:
    """The operator's connection to that cluster, with all rights."""
    transport = connect(str(crds.kubeconfig))
    yield transport
    transport.close()


@pytest.fixture
def client(transport: HttpTransport) -> Client:
    """The operator's verbs in that cluster."""
    return Client(transport)


@pytest.fixture
def operator_pod(crds: Kubectl, new_namespace: NewNamespace, operator_image: str) -> Iterator[Kubectl]:
    """kubectl in the namespace where the operator's image runs as the pod ``operator``, with all rights.

    It watches the whole cluster, until the test ends.
    """
    team = new_namespace(labels=RESTRICTED)
    who = f"--serviceaccount={team.namespace}:default"
    crds("create", "clusterrolebinding", team.namespace, "--clusterrole=cluster-admin", who)
    ready = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}
    team.create(locked_down("operator", operator_image, readinessProbe=ready))
    team.wait("pod/operator", "--for=condition=Ready")
    yield team
    team("delete", "pod", "operator")
    crds("delete", "clusterrolebinding", team.namespace)


def _is_established(crd: Manifest) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
