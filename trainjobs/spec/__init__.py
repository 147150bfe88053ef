"""What a person writes and the cluster stores: types, defaults and validation of TrainJob.

Never trains, never judges a metric, never calls a cluster; reads no file but the manifest it is given.
Imports neither torch nor Ray, Kubernetes or numpy, so a laptop, the operator and a training image all can.

Read `trainjob.py` first, then `stopping.py`; `manifest.py` reads and writes them as YAML. The docstrings of
fields are what `kubectl explain` shows.
"""

from trainjobs.spec.advice import Advice, DataFacts, advise
from trainjobs.spec.base import Location, path_text
from trainjobs.spec.change import MUTABLE, changes, immutable_changes
from trainjobs.spec.errors import Problem, SpecError, UnreadableError
from trainjobs.spec.length import Length, Unit
from trainjobs.spec.manifest import dump, holds_stopping_alone, load, load_stopping, parse, parse_stopping
from trainjobs.spec.metadata import Metadata
from trainjobs.spec.pod import Code, EnvironmentVariable, PodTemplate, Resources
from trainjobs.spec.status import TrainJobStatus
from trainjobs.spec.stopping import Criterion, Mode, NonFinite, Smoothing, StartAfter, Stopping, WhenMissing
from trainjobs.spec.trainjob import API_VERSION, Checkpoint, Stop, Storage, Trainer, TrainJob, TrainJobSpec

__all__ = [
    "API_VERSION",
    "MUTABLE",
    "Advice",
    "Checkpoint",
    "Code",
    "Criterion",
    "DataFacts",
    "EnvironmentVariable",
    "Length",
    "Location",
    "Metadata",
    "Mode",
    "NonFinite",
    "PodTemplate",
    "Problem",
    "Resources",
    "Smoothing",
    "SpecError",
    "StartAfter",
    "Stop",
    "Stopping",
    "Storage",
    "TrainJob",
    "TrainJobSpec",
    "TrainJobStatus",
    "Trainer",
    "Unit",
    "UnreadableError",
    "WhenMissing",
    "advise",
    "changes",
    "dump",
    "holds_stopping_alone",
    "immutable_changes",
    "load",
    "load_stopping",
    "parse",
    "parse_stopping",
    "path_text",
]
