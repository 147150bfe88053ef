"""A TrainSweep as the API server has it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from trainjobs.api.reading import read_sweep_status
from trainjobs.api.reasons import ConditionType
from trainjobs.api.sweep_status import TrainSweepStatus
from trainjobs.cluster.conditioned import Conditioned
from trainjobs.exits import Exit
from trainjobs.kube.resources import Object, key_of


@dataclass(frozen=True, slots=True)
class ClusterTrainSweep(Conditioned):
    """What is asked of it and what has become of it."""

    status: TrainSweepStatus

    @classmethod
    def of(cls, raw: Object) -> ClusterTrainSweep:
        """The one that the API server has answered with."""
        status = raw.get("status")
        known = read_sweep_status(status if isinstance(status, dict) else None, datetime.now(UTC))
        return cls(key_of(raw), raw, known)

    @property
    def exit_code(self) -> Exit:
        """That of `trainjobs sweep` on one machine: 70 when more trials have failed than may."""
        return Exit.DONE if self._holds(ConditionType.COMPLETE) else Exit.USER_CODE
