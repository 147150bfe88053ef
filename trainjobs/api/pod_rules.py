"""What no pod of a run may have, whatever the administrator allows.

Said where a manifest is read, and by the chart's policy in the same words. A value that Kubernetes or the operator
would replace without a word is refused as one that does harm: who wrote it means it.
"""

from collections.abc import Iterator
from typing import Any, Final

from trainjobs.api.base import Location
from trainjobs.api.pod_contract import CONTAINER

OUTLIVES: Final = (
    f"may hold only {CONTAINER}, since a pod ends with its last container; put what runs beside it into initContainers "
    "with restartPolicy: Always"
)
NAMES: Final = "must be unset, since pods of a run find each other by the names that its Job gives them"
RESTARTS: Final = (
    "must be Never or unset, since no container of a run is restarted: backoffLimit says how often a failed attempt is "
    "followed by another one"
)
HOST: Final = "must be unset, since the node itself would call that address; without it the pod is called"
HANDLERS: Final = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)
"""Fields of a container that say what the kubelet calls."""
CALLS: Final = ("httpGet", "tcpSocket")
"""Of those, the ways to call something that has an address.

https://kubernetes.io/docs/concepts/security/pod-security-standards forbids their `host` (baseline, from 1.34 on)."""


def refused_in(spec: dict[str, Any]) -> Iterator[tuple[Location, Any, str]]:
    """What a template's pod may not have: where, the value, the rule. What is no pod at all Kubernetes says."""
    for name in ("subdomain", "hostname"):
        if name in spec:
            yield (name,), spec[name], NAMES
    if spec.get("restartPolicy", "Never") != "Never":
        yield ("restartPolicy",), spec["restartPolicy"], RESTARTS
    for i, container in _containers(spec, "containers"):
        if container.get("name") != CONTAINER:
            yield ("containers", i, "name"), container.get("name"), OUTLIVES
        for name, value in container.items():
            if name in ("restartPolicy", "restartPolicyRules") and value != "Never":
                yield ("containers", i, name), value, RESTARTS
    for kind in ("containers", "initContainers"):
        for i, container in _containers(spec, kind):
            for handler in HANDLERS:
                for call in CALLS:
                    host = _below(container, (*handler, call, "host"))
                    if host not in (None, ""):
                        yield (kind, i, *handler, call, "host"), host, HOST


def _containers(spec: dict[str, Any], kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    found = spec.get(kind)
    for i, container in enumerate(found if isinstance(found, list) else ()):
        if isinstance(container, dict):
            yield i, container


def _below(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
