"""What the tests on a real API server share besides the test bed's own fixtures.

The cluster knows TrainJobs because the chart is installed in it, once for all tests. The Deployment's pods go to
fake nodes, if anywhere: operators run in the tests' own process, with the rights that the chart gives them.
"""

from collections.abc import Iterator

import pytest
from installed import NAMESPACE, connected, install
from testbed.controlplane import ControlPlane
from testbed.fakenodes import NAMESPACE_ANNOTATIONS, FakeNodes
from testbed.fixtures import NewNamespace
from testbed.helm import Helm
from testbed.kubectl import RESTRICTED, Kubectl
from testbed.pods import locked_down

from trainjobs.kube.client import KubeClient
from trainjobs.kube.transport import HttpTransport, connect


@pytest.fixture(scope="session")
def release(helm: Helm, kubectl: Kubectl) -> Kubectl:
    """kubectl in the namespace of the chart's release. A test that changes the release brings it back."""
    return install(helm, kubectl)


@pytest.fixture
def without_release(release: Kubectl, helm: Helm, kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in the release's namespace, from which the release has gone for a while."""
    helm.on(release)("uninstall", "trainjobs")
    yield release
    helm.on(release)("uninstall", "trainjobs", "--ignore-not-found")
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    install(helm, kubectl)


@pytest.fixture(scope="session")
def crds(release: Kubectl, kubectl: Kubectl) -> Kubectl:
    """A cluster that knows TrainJobs."""
    return kubectl


@pytest.fixture
def team(crds: Kubectl, namespace: Kubectl) -> Kubectl:
    """kubectl in a namespace of the test's own, in a cluster that knows TrainJobs."""
    return namespace


@pytest.fixture(scope="session")
def nodes(fake_nodes: FakeNodes) -> FakeNodes:
    """Fake nodes with GPUs."""
    fake_nodes.add(2, gpus=8)
    return fake_nodes


@pytest.fixture
def gpus(crds: Kubectl, nodes: FakeNodes, new_namespace: NewNamespace) -> Kubectl:
    """A namespace whose pods run on fake nodes, as long as the test wants, and have to be restricted."""
    return new_namespace(labels=RESTRICTED, annotations=NAMESPACE_ANNOTATIONS)


@pytest.fixture
def transport(crds: Kubectl) -> Iterator[HttpTransport]:
    """A connection of the operator's kind to that cluster, with all rights."""
    transport = connect(str(crds.kubeconfig))
    yield transport
    transport.close()


@pytest.fixture
def shipped(release: Kubectl, control_plane: ControlPlane) -> Iterator[HttpTransport]:
    """The operator's connection, with the rights that the chart gives it and no others."""
    with connected(control_plane, "trainjobs-operator") as transport:
        yield transport


@pytest.fixture
def client(transport: HttpTransport) -> KubeClient:
    """The operator's verbs in that cluster, with all rights."""
    return KubeClient(transport)


@pytest.fixture
def operator_pod(crds: Kubectl, new_namespace: NewNamespace, operator_image: str) -> Iterator[Kubectl]:
    """kubectl in the namespace where the operator's image runs as the pod ``operator``, with the chart's rights.

    It watches the whole cluster, until the test ends.
    """
    team = new_namespace(labels=RESTRICTED)
    who = f"--serviceaccount={team.namespace}:default"
    crds("create", "clusterrolebinding", team.namespace, "--clusterrole=trainjobs-operator", who)
    lease = ("--verb=create,get,update", "--resource=leases.coordination.k8s.io")
    team("create", "role", "lease", *lease)
    team("create", "rolebinding", "lease", "--role=lease", who)
    ready = {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1}
    team.create(locked_down("operator", operator_image, readinessProbe=ready))
    team.wait("pod/operator", "--for=condition=Ready")
    yield team
    team("delete", "pod", "operator")
    crds("delete", "clusterrolebinding", team.namespace)
