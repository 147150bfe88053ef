"""The chart's release in a cluster: its pods, its own test, its other values."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from installed import CHART, changed, check_runs, connected, operated_by_pods
from operated import eventually, pods, running, state, trainjob
from testbed.controlplane import ControlPlane
from testbed.fakenodes import FakeNodes
from testbed.helm import Helm, HelmError
from testbed.kubectl import Kubectl, KubectlError
from testbed.node import Node

from trainjob_operator.selftest import CheckError, ends, refuses
from trainjobs.kube.client import KubeClient
from trainjobs.kube.transport import ApiError, HttpTransport


def test_two_operators_become_ready_in_a_restricted_namespace(release: Kubectl, nodes: FakeNodes):
    """The fake nodes say that containers run; the API server, that it admits such pods."""
    release("rollout", "status", "deployment/trainjobs-operator", "--timeout=60s")
    operators = release.get("pods", "--selector=app.kubernetes.io/name=trainjobs")["items"]
    assert len({each["spec"]["nodeName"] for each in operators}) == 2
    budget = release.get("pdb/trainjobs-operator")
    eventually(
        lambda: release.get("pdb/trainjobs-operator")["status"]["disruptionsAllowed"] == 1, str(budget)
    )


def test_the_releases_own_test_passes(
    release: Kubectl, helm: Helm, nodes: FakeNodes, control_plane: ControlPlane, shipped: HttpTransport
):
    with running(shipped), check_runs(control_plane, release, nodes):
        assert "Phase:          Succeeded" in helm.on(release)("test", "trainjobs")
    assert not release.get("trainjobs,jobs")["items"]
    with pytest.raises(KubectlError, match="NotFound"):
        release.get("role/trainjobs-check")


def test_a_network_plugin_that_enforces_no_policy_is_told_of_by_the_releases_test(
    release: Kubectl, helm: Helm, node: Node, operator_image: str
):
    """On a real node, whose plugin does not."""
    with operated_by_pods(helm, release, operator_image, "unused:1"):
        with pytest.raises(HelmError):
            helm.on(release)("test", "trainjobs", "--timeout=150s")
        assert "the network plugin does not enforce NetworkPolicies" in release("logs", "trainjobs-check")
        release(
            "delete",
            "--wait=false",
            "deployment,service,networkpolicy,pod",
            "--selector=app.kubernetes.io/name=trainjobs-check",
        )


def test_the_check_fails_when_nobody_operates_or_anything_is_accepted(team: Kubectl, client: KubeClient):
    item = trainjob()
    item["metadata"]["namespace"] = team.namespace
    with pytest.raises(CheckError, match="no operator has ended TrainJob"):
        ends(client, item, patience_s=0.5)
    assert not team.get("trainjobs")["items"]
    with pytest.raises(CheckError, match="accepted that should be refused because of maxEpochs"):
        refuses(client, item, "maxEpochs")


def test_a_second_release_is_refused(helm: Helm, team: Kubectl):
    with pytest.raises(HelmError, match="cannot be imported into the current release"):
        helm.on(team)("install", "another", str(CHART))


def test_with_listed_namespaces_the_operator_lives_on_rights_in_these(
    release: Kubectl, helm: Helm, gpus: Kubectl, team: Kubectl, control_plane: ControlPlane
):
    with changed(helm, release, f"--set=watchNamespaces={{{gpus.namespace}}}"):
        with (
            connected(control_plane, "trainjobs-operator") as transport,
            pytest.raises(ApiError, match="cannot list resource"),
        ):
            transport.request("GET", "/apis/trainjobs.dev/v1alpha1/trainjobs")
        with as_the_pod_runs_it(release, control_plane):
            team.create(trainjob())
            gpus.create(trainjob())
            eventually(lambda: len(pods(gpus)) == 2, "two pods")
        assert state(team) == ""


@contextmanager
def as_the_pod_runs_it(release: Kubectl, control_plane: ControlPlane) -> Iterator[None]:
    """The operator as a process of its own, with the command, the arguments and the rights of its container."""
    (container,) = release.get("deployment/trainjobs-operator")["spec"]["template"]["spec"]["containers"]
    python, *command = container["command"]
    assert python == "python"
    token = release("create", "token", "trainjobs-operator").strip()
    of_a_pod = (
        f"--kubeconfig={control_plane.kubeconfig_with('trainjobs-operator', token)}",
        f"--namespace={release.namespace}",
        "--metrics-port=0",
        "--health-port=0",
    )
    process = subprocess.Popen([sys.executable, *command, *container["args"], *of_a_pod])
    try:
        yield
    finally:
        process.terminate()
        ended = process.wait(30)
    assert ended == 0


def test_what_was_allowed_once_can_still_be_changed(release: Kubectl, helm: Helm, team: Kubectl):
    allowed = {
        "hostNetwork": True,
        "volumes": [{"name": "disk", "hostPath": {"path": "/data"}}],
        "containers": [
            {
                "name": "trainer",
                "securityContext": {"privileged": True, "capabilities": {"add": ["IPC_LOCK"]}},
            }
        ],
    }
    flags = ("allowHostNamespaces=true", "allowHostPath=true", "allowPrivileged=true")
    settings = (*flags, "allowedCapabilities={IPC_LOCK}")
    manifest = json.dumps(trainjob(podTemplate={"spec": allowed}))
    with changed(helm, release, *(f"--set=podTemplates.{setting}" for setting in settings)):
        eventually(lambda: _created(team, manifest), "the policy allows it")
    team("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
    change = {"spec": {"podTemplate": {"spec": {"hostNetwork": True, "hostPID": True}}}}
    with pytest.raises(KubectlError, match="hostNetwork: must be false"):
        team("patch", "tjob", "mnist", "--type=merge", f"--patch={json.dumps(change)}")


@pytest.mark.parametrize(("role", "verbs"), [("view", {"get"}), ("edit", {"get", "create", "delete"})])
def test_users_have_trainjobs_in_kubernetes_own_roles(team: Kubectl, role: str, verbs: set[str]):
    team("create", "rolebinding", role, f"--clusterrole={role}", "--user=ada")
    user = Kubectl(team.program, team.kubeconfig, team.namespace, ("--as=ada",))
    eventually(lambda: _may(user, "get"), "the roles are aggregated")
    assert {verb for verb in ("get", "create", "delete") if _may(user, verb)} == verbs
    assert not _may(user, "patch", "trainjobs/status")


def _created(team: Kubectl, manifest: str) -> bool:
    try:
        team("create", "--filename=-", stdin=manifest)
    except KubectlError:
        return False
    return True


def _may(user: Kubectl, verb: str, resource: str = "trainjobs") -> bool:
    try:
        return user("auth", "can-i", verb, *resource.split("/")[:1], *_subresource(resource)).strip() == "yes"
    except KubectlError:
        return False  # it says no by its exit code


def _subresource(resource: str) -> list[str]:
    return [f"--subresource={part}" for part in resource.split("/")[1:]]
