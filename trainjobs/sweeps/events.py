"""What a sweep tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from trainjobs.sweeps.record import Trial


@dataclass(frozen=True, slots=True)
class SweepEvent:
    """Something has changed."""

    trial: Trial | None
    """Whose row; None: of the whole sweep."""
    message: str = ""


Tell: TypeAlias = Callable[[SweepEvent], None]
