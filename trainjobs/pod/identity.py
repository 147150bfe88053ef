"""Which pod of which TrainJob this is, from the environment that the operator sets."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from trainjobs.runs.storage import below

RAY_PORT: Final = 6379
LINE_PORT: Final = 6380


@dataclass(frozen=True, slots=True)
class PodPlace:
    """One pod's place in its TrainJob; variables as in docs/operator.md."""

    name: str
    namespace: str
    uid: str
    nodes: int
    processes: int
    """Training processes on each node."""
    index: int
    head: str
    """Host name of pod 0."""
    code: Path
    """Directory of the training code."""
    storage: str
    """Directory or URI for checkpoints; empty when there is none but the pod's own disk."""
    token: bytes
    """Ray's token; the agents know each other by it too."""
    backoff_limit: int | None = None
    """Failed attempts that are followed by another one. None: an operator made the pod that does not say."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Raises KeyError for a variable that is missing."""
        return cls(
            name=environment["TRAINJOBS_NAME"],
            namespace=environment["TRAINJOBS_NAMESPACE"],
            uid=environment["TRAINJOBS_UID"],
            nodes=int(environment["TRAINJOBS_NUM_NODES"]),
            processes=int(environment["TRAINJOBS_NUM_PROC_PER_NODE"]),
            index=int(environment["JOB_COMPLETION_INDEX"]),
            head=environment["TRAINJOBS_HEAD"],
            code=Path(environment.get("TRAINJOBS_CODE") or Path.cwd()),
            storage=environment.get("TRAINJOBS_STORAGE", ""),
            token=Path(environment["RAY_AUTH_TOKEN_PATH"]).read_bytes().strip(),
            backoff_limit=int(limit) if (limit := environment.get("TRAINJOBS_BACKOFF_LIMIT")) else None,
        )

    def storage_uri(self) -> str:
        """Where this TrainJob's checkpoints go; a new one of the same name begins anew. Empty: the pod's disk."""
        return below(self.storage, f"{self.name}-{self.uid[:8]}") if self.storage else ""


def own_address() -> str:
    """The pod's IP address: Kubernetes writes it into /etc/hosts beside the host name."""
    return socket.gethostbyname(socket.gethostname())
