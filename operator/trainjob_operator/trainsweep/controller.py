"""The kind TrainSweep, ready to run."""

from __future__ import annotations

from trainjob_operator.core.controller import Controller, Host
from trainjob_operator.trainjob.controller import TrainedKind, controller_of
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainsweep.metrics import SweepMetrics
from trainjob_operator.trainsweep.view import as_trainjob
from trainjobs.api.pod_contract import SWEEP_LABEL
from trainjobs.kube.resources import TRAINSWEEPS


def controller(host: Host, settings: Settings) -> Controller:
    """Of TrainSweeps."""
    kind = TrainedKind(TRAINSWEEPS, SWEEP_LABEL, as_trainjob)
    return controller_of(kind, SweepMetrics(host.registry), host, settings)
