"""What a person writes and the cluster stores: types, defaults and validation of TrainJob.

Never trains, never judges a metric, never calls a cluster.
Imports neither torch nor Ray, Kubernetes or numpy, so a laptop, the operator and a training image all can.

Read `trainjob.py` first, then `stopping.py`. `manifest/` reads and writes the types as YAML, `crd/` writes them as a
CustomResourceDefinition. The docstrings of fields are what `kubectl explain` shows. Of the names here nothing is loaded
until it is asked for: what lists TrainJobs needs no criteria.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.api.base import Location, path_text
    from trainjobs.api.change import MUTABLE, changes, immutable_changes
    from trainjobs.api.kinds import API_VERSION
    from trainjobs.api.length import Length, Unit
    from trainjobs.api.metadata import Metadata
    from trainjobs.api.pod import Code, EnvironmentVariable, PodTemplate, Resources
    from trainjobs.api.status import TrainJobStatus
    from trainjobs.api.stopping import (
        Criterion,
        Mode,
        NonFinite,
        Smoothing,
        StartAfter,
        Stopping,
        WhenMissing,
    )
    from trainjobs.api.trainjob import Checkpoint, Stop, Storage, Trainer, TrainJob, TrainJobSpec

__all__ = [
    "API_VERSION",
    "MUTABLE",
    "Checkpoint",
    "Code",
    "Criterion",
    "EnvironmentVariable",
    "Length",
    "Location",
    "Metadata",
    "Mode",
    "NonFinite",
    "PodTemplate",
    "Resources",
    "Smoothing",
    "StartAfter",
    "Stop",
    "Stopping",
    "Storage",
    "TrainJob",
    "TrainJobSpec",
    "TrainJobStatus",
    "Trainer",
    "Unit",
    "WhenMissing",
    "changes",
    "immutable_changes",
    "path_text",
]

_PLACES = {
    **dict.fromkeys(("Location", "path_text"), "base"),
    **dict.fromkeys(("MUTABLE", "changes", "immutable_changes"), "change"),
    **dict.fromkeys(("API_VERSION",), "kinds"),
    **dict.fromkeys(("Length", "Unit"), "length"),
    **dict.fromkeys(("Metadata",), "metadata"),
    **dict.fromkeys(("Code", "EnvironmentVariable", "PodTemplate", "Resources"), "pod"),
    **dict.fromkeys(("TrainJobStatus",), "status"),
    **dict.fromkeys(
        ("Criterion", "Mode", "NonFinite", "Smoothing", "StartAfter", "Stopping", "WhenMissing"), "stopping"
    ),
    **dict.fromkeys(("Checkpoint", "Stop", "Storage", "Trainer", "TrainJob", "TrainJobSpec"), "trainjob"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
