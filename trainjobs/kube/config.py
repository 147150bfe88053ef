"""Which cluster a command works in, by kubectl's conventions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trainjobs.exits import ConfigError

if TYPE_CHECKING:
    from trainjobs.kube.transport import Transport

_HOME: Final = "~/.kube/config"
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, and the namespace that is meant when none is named."""

    transport: Transport
    namespace: str


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a kubeconfig file, or this process is in a pod: a look that costs nothing."""
    is_pod = "KUBERNETES_SERVICE_HOST" in environment
    return is_pod or any(path.exists() for path in _paths(environment.get("KUBECONFIG", "")))


def cluster(kubeconfig: str = "", context: str = "", environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster of a context (the current one if none is named) in the file `kubeconfig`, else in those of
    KUBECONFIG, else in ~/.kube/config, else of the pod that this process is in. Raises ConfigError."""
    from trainjobs.kube.transport import connect_by, in_pod  # slow to import

    named = kubeconfig or environment.get("KUBECONFIG", "")
    # Of one that is named: one file, whatever is in its name; and it has to be there.
    paths = [Path(kubeconfig)] if kubeconfig else _paths(named)
    try:
        there = [str(path) for path in paths if path.exists()]
        if there:
            transport, namespace = connect_by(os.pathsep.join(there), context or None)
            return Cluster(transport, namespace or "default")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{os.pathsep.join(map(str, paths))}: {error}") from error
    if named or context or "KUBERNETES_SERVICE_HOST" not in environment:
        raise ConfigError(f"no kubeconfig file: {os.pathsep.join(map(str, paths))} is not there")
    try:
        return Cluster(in_pod(environment), _POD_NAMESPACE.read_text().strip())
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error


def _paths(named: str) -> list[Path]:
    return [Path(path).expanduser() for path in (named or _HOME).split(os.pathsep) if path]
