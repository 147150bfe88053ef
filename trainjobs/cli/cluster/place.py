"""Whether a name means a run on this machine or a TrainJob in a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.cli.places import RUNS
from trainjobs.exits import ConfigError
from trainjobs.kube.config import is_configured

if TYPE_CHECKING:
    from trainjobs.cluster import Client
    from trainjobs.runs.directory import RunDirectory

JOB_WORDS = ("trainjob", "trainjobs", "tjob")
SWEEP_WORDS = ("trainsweep", "trainsweeps", "tsweep")
"""What may stand before a name and a slash, as kubectl has it."""


@dataclass(frozen=True, slots=True)
class Place:
    """What `--context` and `--namespace` say; kubectl's conventions do the rest."""

    context: str = ""
    namespace: str = ""

    @property
    def is_named(self) -> bool:
        """Whether the cluster is meant, whatever this machine has."""
        return bool(self.context or self.namespace)

    def client(self) -> "Client":
        """The API server of that place. Raises ConfigError where none is configured."""
        try:
            from trainjobs.cluster import Client
        except ImportError as error:
            raise ConfigError(f"{error}: to talk to a cluster, pip install 'trainjobs[cluster]'") from None
        return Client(self.context, self.namespace)

    def holds(self, run: Path) -> bool:
        """Whether the cluster is meant: where it is named, or where this machine has no such run and there is one."""
        if self.is_named:
            return True
        here = any(path.exists() for path in (run, RUNS / run))
        return not here and str(run.parent).lower() in (".", *JOB_WORDS, *SWEEP_WORDS) and is_configured()


def runs_here() -> "list[RunDirectory]":
    """The runs of this directory, by name."""
    if not (found := sorted(RUNS.iterdir()) if RUNS.is_dir() else ()):
        return []
    from trainjobs.runs.directory import RunDirectory

    return [directory for path in found if (directory := RunDirectory(path)).exists()]
