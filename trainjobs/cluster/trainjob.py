"""A TrainJob as the API server has it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trainjobs.api.reading import read_status
from trainjobs.api.status import TrainJobStatus
from trainjobs.cluster.conditioned import Conditioned
from trainjobs.kube.resources import Object, key_of


@dataclass(frozen=True, slots=True)
class ClusterTrainJob(Conditioned):
    """What is asked of it and what has become of it."""

    status: TrainJobStatus

    @classmethod
    def of(cls, raw: Object) -> ClusterTrainJob:
        """The one that the API server has answered with."""
        status = raw.get("status")
        return cls(
            key_of(raw), raw, read_status(status if isinstance(status, dict) else None, datetime.now(UTC))
        )

    @property
    def length(self) -> str:
        """How long it trains at most, such as "40 epochs"; empty where that cannot be read."""
        trainer: Any = self.raw.get("spec", {}).get("trainer", {})
        for field, unit in (("maxEpochs", "epochs"), ("maxSteps", "steps")):
            if isinstance(trainer, dict) and isinstance(trainer.get(field), int):
                return f"{trainer[field]:,} {unit}"
        return ""
