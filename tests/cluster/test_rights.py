"""The operator's rights: all that it uses, which its other tests show, and nothing else."""

import json
from collections.abc import Iterator

import pytest
from operated import eventually, pods, reaches, running, trainjob, trains
from sweep_manifests import sweep_manifest
from testbed.controlplane import ControlPlane
from testbed.fakenodes import FakeNodes
from testbed.kubectl import Kubectl, KubectlError, Manifest

from trainjobs.kube.transport import HttpTransport

Right = tuple[str, str, str]
"""API group, resource, verb."""

ACCOUNT = "system:serviceaccount:trainjobs-system:trainjobs-operator"

RBAC = "rbac.authorization.k8s.io/v1"
BINDING = {
    "apiVersion": RBAC,
    "kind": "RoleBinding",
    "metadata": {"name": "binding"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "trainjobs-runner"},
    "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "x"}],
}
BIND: Right = ("rbac.authorization.k8s.io", "clusterroles", "bind")
"""No request's: the API server looks for it while it serves the one that makes a RoleBinding."""


def granted(*roles: Manifest) -> set[Right]:
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(control_plane: ControlPlane) -> Iterator[Right]:
    """What the operator was allowed to do, by the API server's own record."""
    whole_lines = control_plane.audit_log.read_text().split("\n")[:-1]  # texts in it hold other line breaks
    for line in whole_lines:
        request = json.loads(line)
        if request["user"]["username"] == ACCOUNT and request["responseStatus"]["code"] != 403:
            on = request["objectRef"]
            resource = "/".join(filter(None, (on["resource"], on.get("subresource"))))
            yield on.get("apiGroup", ""), resource, request["verb"]
            if request["verb"] == "patch" and request["responseStatus"]["code"] == 201:
                yield on.get("apiGroup", ""), resource, "create"  # an apply that made the object


def test_the_operator_uses_every_right_that_it_has(
    release: Kubectl,
    gpus: Kubectl,
    shipped: HttpTransport,
    nodes: FakeNodes,
    control_plane: ControlPlane,
    monkeypatch: pytest.MonkeyPatch,
):
    with running(shipped):
        monkeypatch.setattr("trainjob_operator.trainjob.active_job.SLOW_START_S", 1)
        gpus("create", "quota", "small", "--hard=pods=1")
        gpus.create(trainjob(ttlSecondsAfterFinished=1))
        reaches(gpus, "FailedCreate")
        gpus("delete", "quota", "small")
        eventually(lambda: len(pods(gpus)) == 2, "two pods")
        without_label = '{"spec": {"selector": {"trainjobs.dev/trainjob": null, "app": "another"}}}'
        gpus("patch", "service/mnist", "--type=merge", f"--patch={without_label}")
        gpus("patch", "rolebinding/trainjobs-runner", "--type=merge", '--patch={"subjects": null}')
        gpus("patch", "networkpolicy/mnist", "--type=merge", '--patch={"spec": {"ingress": null}}')
        gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"trainer": {"numNodes": 1}}}')
        eventually(lambda: len(pods(gpus)) == 1, "the Job is made anew")
        gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
        reaches(gpus, "Suspended")
        gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": false}}')
        trains(gpus, nodes=1)
        nodes.finish(gpus, "--all", exit_code=78)
        eventually(lambda: not gpus.get("tjob")["items"], "it failed, and its time to live is over")
        gpus.create(sweep_manifest(ttlSecondsAfterFinished=1))
        eventually(lambda: gpus.get("jobs")["items"], "a sweep has its Job")
        gpus("patch", "tsweep", "tuned", "--type=merge", '--patch={"spec": {"stop": {}}}')
        eventually(lambda: not gpus.get("tsweep")["items"], "it was stopped, and its time to live is over")
    roles = release.get("clusterrole/trainjobs-operator"), release.get("role/trainjobs-operator-lease")
    assert granted(*roles) - set(used(control_plane)) == {BIND}


def test_it_binds_the_role_of_training_pods_and_no_other(team: Kubectl):
    as_operator = has_rights(team, "all", team.get("clusterrole/trainjobs-operator")["rules"])
    make_binding = ("create", "--dry-run=server", "--filename=-")
    as_operator(*make_binding, stdin=json.dumps(BINDING))
    for role in ("edit", "cluster-admin"):
        other = BINDING | {"roleRef": BINDING["roleRef"] | {"name": role}}
        with pytest.raises(KubectlError, match="not currently held"):
            as_operator(*make_binding, stdin=json.dumps(other))


def has_rights(team: Kubectl, name: str, rules: list[Manifest]) -> Kubectl:
    """kubectl as somebody who has these rights in the namespace."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    team.create(account, {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": rules})
    team("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={team.namespace}:{name}")
    return team.as_token(team("create", "token", name).strip())
