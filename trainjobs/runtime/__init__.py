"""A worker: what trains, with torch, in a process that a launcher has started.

Read `run.py` first (what a training function sees), then `loop/training_loop.py` (what a worker does with it) and
`worker.py` (how a worker begins and ends). Nothing is imported until it is asked for, so that the command line can read
a run directory without loading torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.runtime.custom_loop import StoppingCoordinator
    from trainjobs.runtime.run import Run

__all__ = ["Run", "StoppingCoordinator"]


def __getattr__(name: str) -> Any:
    if name == "Run":
        from trainjobs.runtime.run import Run

        return Run
    if name == "StoppingCoordinator":
        from trainjobs.runtime.custom_loop import StoppingCoordinator

        return StoppingCoordinator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
