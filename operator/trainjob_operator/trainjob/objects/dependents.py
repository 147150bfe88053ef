"""What a TrainJob's pods need around them: names, a token, a closed door, and an identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from trainjob_operator.trainjob.objects import names
from trainjobs.api import TrainJob
from trainjobs.api.pod_contract import INDEX
from trainjobs.kube.resources import (
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Object,
    Resource,
)

Pods: TypeAlias = Mapping[str, str]
"""Labels that only the pods of one TrainJob or TrainSweep have."""


def service(job: TrainJob) -> Object:
    """A headless Service: pod 0 is `<name>-0.<name>`, also before it is ready.

    The others connect to it, and nobody to them. In the Service, each of their changes would be two writes more.
    """
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": names.metadata(job, job.metadata.name),
        "spec": _service_spec(names.selector(job)),
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
        "spec": _policy_spec(names.selector(job)),
    }


def guards(label: str) -> Mapping[Resource, Callable[[Object], Object]]:
    """What caches keep of the Services and NetworkPolicies of a kind, by the label of what belongs to it."""
    return {resource: partial(_guard, label, spec) for resource, spec in _SPECS.items()}


def _guard(label: str, spec_for: Callable[[Pods], Object], item: Object) -> Object:
    """That it is there, and whether it still does its work. What else somebody has put into it is theirs."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    wanted = spec_for({label: metadata["name"]})
    kept = {name: metadata[name] for name in ("namespace", "name", "resourceVersion")}
    return {"metadata": kept, "intact": all(spec.get(field) == wanted[field] for field in wanted)}


def _service_spec(pods: Pods) -> Object:
    return {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {**pods, INDEX: "0"},
    }


def _policy_spec(pods: Pods) -> Object:
    same = {"matchLabels": dict(pods)}
    return {
        "podSelector": same,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": same}]}],
    }


_SPECS: Final[Mapping[Resource, Callable[[Pods], Object]]] = {
    SERVICES: _service_spec,
    NETWORK_POLICIES: _policy_spec,
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
