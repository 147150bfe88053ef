"""Distributed training jobs that know when to stop.

What a training program imports stands here: `from trainjobs import Run`, `from trainjobs import StoppingCoordinator`.
Nothing is loaded until it is asked for. All other modules are the inside of the product and may change.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.runtime import Run, StoppingCoordinator

__all__ = ["Run", "StoppingCoordinator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trainjobs import runtime

    return getattr(runtime, name)
