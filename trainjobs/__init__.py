"""Distributed training jobs that know when to stop.

What a program imports stands here. In training code: `from trainjobs import Run`, `from trainjobs import
StoppingCoordinator`. In a notebook: `trainjobs.load_run("runs/mnist")`, and `trainjobs.Client()` for a cluster. Nothing
is loaded until it is asked for. All other modules are the inside of the product and may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.cluster import Client
    from trainjobs.recorded import RecordedRun, load_run
    from trainjobs.runtime import Run, StoppingCoordinator

__all__ = ["Client", "RecordedRun", "Run", "StoppingCoordinator", "load_run"]

_PLACES = {
    "Client": "trainjobs.cluster",
    "RecordedRun": "trainjobs.recorded",
    "Run": "trainjobs.runtime",
    "StoppingCoordinator": "trainjobs.runtime",
    "load_run": "trainjobs.recorded",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
