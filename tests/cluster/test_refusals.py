"""What policies and webhooks of others refuse the operator, with a real API server; pods run on fake nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from operated import eventually, reaches, running, trainjob, trains
from testbed.kubectl import Kubectl, KubectlError, Manifest

from trainjob_operator.app import Operator
from trainjobs.kube.transport import HttpTransport


@pytest.fixture
def operator(shipped: HttpTransport) -> Iterator[Operator]:
    with running(shipped) as operator:
        yield operator


def _on_jobs(team: Kubectl, verb: str) -> Manifest:
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": [verb], "resources": ["jobs"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}}
    return {"namespaceSelector": here, "resourceRules": [rule]}


def _admission(kind: str, name: str, **fields: Any) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        **fields,
    }


def _policy(team: Kubectl, verb: str, expression: str) -> list[Manifest]:
    validation = {"expression": expression, "message": "not tonight"}
    spec = {"matchConstraints": _on_jobs(team, verb), "validations": [validation]}
    binding = {"policyName": team.namespace, "validationActions": ["Deny"]}
    return [
        _admission("ValidatingAdmissionPolicy", team.namespace, spec=spec),
        _admission("ValidatingAdmissionPolicyBinding", team.namespace, spec=binding),
    ]


def _silent_webhook(team: Kubectl) -> list[Manifest]:
    on = _on_jobs(team, "CREATE")
    webhook = {
        "name": "silent.example.com",
        "clientConfig": {"service": {"namespace": team.namespace, "name": "nobody"}},
        "namespaceSelector": on["namespaceSelector"],
        "rules": on["resourceRules"],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return [_admission("ValidatingWebhookConfiguration", team.namespace, webhooks=[webhook])]


@contextmanager
def in_force(team: Kubectl, admission: list[Manifest], probe: tuple[str, ...]) -> Iterator[None]:
    """Somebody's policy or webhook, from when the API server obeys it: then the probe is refused."""

    def is_refused() -> bool:
        try:
            team(*probe, "--dry-run=server")
        except KubectlError:
            return True
        return False

    team.create(*admission)
    try:
        eventually(is_refused, "the API server obeys it")
        yield
    finally:
        for item in admission:
            team("delete", item["kind"], item["metadata"]["name"])
    eventually(lambda: not is_refused(), "the API server obeys it no more")


@pytest.mark.parametrize("how", ["Forbidden", "InternalError"])
def test_a_job_that_somebody_elses_admission_refuses_is_made_when_it_may_be(
    gpus: Kubectl, operator: Operator, how: str
):
    admission = _policy(gpus, "CREATE", "false") if how == "Forbidden" else _silent_webhook(gpus)
    with in_force(gpus, admission, ("create", "job", "probe", "--image=x")):
        gpus.create(trainjob())
        reaches(gpus, how)
        (told,) = gpus.get("tjob/mnist")["status"]["conditions"]
        assert (told["type"], told["status"]) == ("Running", "False")
    trains(gpus)


def test_a_job_that_may_not_be_suspended_is_shown_to_run(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob())
    trains(gpus)
    suspend = ("patch", "job", "mnist", '--patch={"spec": {"suspend": true}}')
    frozen = _policy(gpus, "UPDATE", "object.spec.suspend == oldObject.spec.suspend")
    with in_force(gpus, frozen, suspend):
        gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
        reaches(gpus, "Forbidden")
        (told, *_) = gpus.get("tjob/mnist")["status"]["conditions"]
        assert (told["type"], told["status"]) == ("Running", "True")
        assert "not tonight" in told["message"]
    reaches(gpus, "Suspended")
