"""What the tests on a real API server share besides the test bed's own fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.kubectl import Kubectl

from trainjob_operator.client import Client
from trainjob_operator.transport import HttpTransport, connect

CRDS = Path(__file__).parents[2] / "manifests" / "crds"


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> Kubectl:
    """A cluster that knows TrainJobs."""
    files = sorted(CRDS.glob("*.yaml"))
    kubectl.apply(*files)
    for file in files:
        kubectl.wait(f"crd/{file.stem}", "--for=condition=Established")
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
