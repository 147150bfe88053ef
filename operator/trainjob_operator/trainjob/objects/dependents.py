"""What a TrainJob's pods need around them: names, a token, a closed door, and an identity."""

from __future__ import annotations

from trainjob_operator.trainjob.objects import names
from trainjobs.api import TrainJob
from trainjobs.kube.resources import (
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Object,
)


def service(job: TrainJob) -> Object:
    """A headless Service: pod 0 is `<name>-0.<name>`, also before it is ready.

    The others connect to it, and nobody to them. In the Service, each of their changes would be two writes more.
    """
    pod_0 = {**names.selector(job), names.INDEX: "0"}
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": names.metadata(job, job.metadata.name),
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": pod_0},
    }


def secret(job: TrainJob, token: str) -> Object:
    """The token without which Ray refuses every request: Ray without it runs the code of whoever asks."""
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": names.metadata(job, names.token_secret(job)),
        "type": "Opaque",
        "immutable": True,
        "stringData": {"token": token},
    }


def network_policy(job: TrainJob) -> Object:
    """Only pods of the same TrainJob reach its pods; they themselves reach everything (storage, data, DNS)."""
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": names.metadata(job, job.metadata.name),
        "spec": {
            "podSelector": {"matchLabels": names.selector(job)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": names.selector(job)}}]}],
        },
    }


def runner(job: TrainJob) -> tuple[Object, Object]:
    """The namespace's ServiceAccount of training pods with its rights; all TrainJobs there share it."""
    metadata = {"name": names.RUNNER, "namespace": job.metadata.namespace}
    account = {
        "apiVersion": SERVICE_ACCOUNTS.api_version,
        "kind": SERVICE_ACCOUNTS.kind,
        "metadata": metadata,
    }
    binding = {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": names.RUNNER},
        "subjects": [{"kind": "ServiceAccount", "name": names.RUNNER, "namespace": job.metadata.namespace}],
    }
    return account, binding
