"""Which pod of which TrainJob this is, from its environment."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from trainjobs.api.pod_contract import INDEX_VARIABLE, PodEnvironment, variable
from trainjobs.api.storage_uri import below


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity(PodEnvironment):
    """One pod's place in its TrainJob: what the operator tells all pods, and which one this is."""

    index: int = field(metadata=variable(INDEX_VARIABLE, int))

    @property
    def code_directory(self) -> Path:
        """Directory of the training code."""
        return Path(self.code or Path.cwd())

    @property
    def storage_uri(self) -> str:
        """Where this TrainJob's checkpoints go; a new one of the same name begins anew. Empty: the pod's disk."""
        return below(self.storage, f"{self.name}-{self.uid[:8]}")

    @property
    def own_address(self) -> str:
        """The pod's IP address. Unless it has the node's network, Kubernetes also writes it into /etc/hosts."""
        return self.address or socket.gethostbyname(socket.gethostname())

    def token(self) -> bytes:
        """Ray's token; the agents know each other by it too."""
        return Path(self.ray_token_path).read_bytes().strip()
