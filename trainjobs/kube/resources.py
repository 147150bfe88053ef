"""Which objects of the API server there are, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote

from trainjobs.api.kinds import API_VERSION, KIND, PLURAL

Object: TypeAlias = dict[str, Any]
"""An object of the API server as plain values."""


class Key(NamedTuple):
    """Which object of a kind. A TrainJob and its Job have the same key."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def key_of(item: Object) -> Key:
    """The key of an object."""
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of namespaced objects."""

    api_version: str
    """Group and version, as "batch/v1"; "v1" for the core group."""
    kind: str
    plural: str
    """Its name in paths."""

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of a collection (of all namespaces without `namespace`), of an object, or of a part of one."""
        prefix = "apis" if "/" in self.api_version else "api"
        steps = [prefix, self.api_version]
        if namespace:
            steps += ["namespaces", quote(namespace, safe="")]
        steps += [self.plural, *(quote(step, safe="") for step in (name, subresource) if step)]
        return "/" + "/".join(steps)


TRAINJOBS: Final = Resource(API_VERSION, KIND, PLURAL)
TRAINSWEEPS: Final = Resource(API_VERSION, "TrainSweep", "trainsweeps")
JOBS: Final = Resource("batch/v1", "Job", "jobs")
SERVICES: Final = Resource("v1", "Service", "services")
SECRETS: Final = Resource("v1", "Secret", "secrets")
NETWORK_POLICIES: Final = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
CONFIG_MAPS: Final = Resource("v1", "ConfigMap", "configmaps")
PODS: Final = Resource("v1", "Pod", "pods")
EVENTS: Final = Resource("events.k8s.io/v1", "Event", "events")
SERVICE_ACCOUNTS: Final = Resource("v1", "ServiceAccount", "serviceaccounts")
ROLE_BINDINGS: Final = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
LEASES: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")

_ALL: Final = (
    *(TRAINJOBS, TRAINSWEEPS, JOBS, SERVICES, SECRETS, NETWORK_POLICIES, PODS, EVENTS),
    *(CONFIG_MAPS, SERVICE_ACCOUNTS, ROLE_BINDINGS, LEASES),
)
_BY_KIND: Final = {(resource.api_version, resource.kind): resource for resource in _ALL}


def resource_of(item: Object) -> Resource:
    """The resource of an object that says its kind."""
    return _BY_KIND[item["apiVersion"], item["kind"]]
