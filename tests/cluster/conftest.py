"""What the tests on a real API server share besides the test bed's own fixtures."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.kubectl import Kubectl, Manifest

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


def _is_established(crd: Manifest) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
