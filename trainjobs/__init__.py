"""Distributed training jobs that know when to stop.

What a program imports stands here. In training code: `from trainjobs import Run`, `from trainjobs import
StoppingCoordinator`. In a notebook: `trainjobs.run("trainjob.yaml")` and
`trainjobs.sweep("sweep.yaml")`, `trainjobs.load_run("runs/mnist")`, and `trainjobs.Client()` for a cluster. Nothing
is loaded until it is asked for. All other modules are the inside of the product and may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.api.manifest import SpecError
    from trainjobs.cluster import Client
    from trainjobs.exits import RunFailed, UserError
    from trainjobs.local.api import Result, SweepResult, run, sweep
    from trainjobs.recorded import RecordedRun, load_run
    from trainjobs.runtime import Run, StoppingCoordinator

__all__ = [
    "Client",
    "RecordedRun",
    "Result",
    "Run",
    "RunFailed",
    "SpecError",
    "StoppingCoordinator",
    "SweepResult",
    "UserError",
    "load_run",
    "run",
    "sweep",
]

_PLACES = {
    "Client": "trainjobs.cluster",
    "RecordedRun": "trainjobs.recorded",
    "Result": "trainjobs.local.api",
    "Run": "trainjobs.runtime",
    "RunFailed": "trainjobs.exits",
    "SpecError": "trainjobs.api.manifest",
    "StoppingCoordinator": "trainjobs.runtime",
    "SweepResult": "trainjobs.local.api",
    "UserError": "trainjobs.exits",
    "load_run": "trainjobs.recorded",
    "run": "trainjobs.local.api",
    "sweep": "trainjobs.local.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
