"""What the arguments of other early stopping classes mean in criteria."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from trainjobs.api.manifest import load_stopping, parse_stopping

if TYPE_CHECKING:
    from trainjobs.api import Stopping

Criteria: TypeAlias = Sequence[Mapping[str, Any]] | str | PathLike[str] | None
"""Criteria as a manifest writes them, or the path of a manifest; None: those that the arguments mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Arguments by the names most frameworks give them."""

    monitor: str
    """Name of the metric."""
    mode: str = "min"
    """Better is "min" or "max"."""
    patience: int = 1
    """Reports without improvement until the stop; 0 means what 1 means, as everywhere."""
    min_delta: float = 0.0
    """A gain must be greater than this to count, in units of the metric."""
    relative: bool = False
    """`min_delta` is a fraction of |best|."""
    baseline: float | None = None
    """Improvements that miss it do not reset the count."""
    start_from_epoch: int = 0
    """Reports of the first so many epochs are not seen."""
    stopping_threshold: float | None = None
    """Stop when the metric is better than this; equal is not."""
    divergence_threshold: float | None = None
    """Stop when the metric is worse than this."""
    check_finite: bool = True
    """NaN or infinity stops; else it is a report without improvement."""
    strict: bool = True
    """A report without the metric is an error; else it is passed over."""
    restore_best: bool = False
    min_epochs: int | None = None
    """No stop before so many epochs are finished. None or 0: no such limit."""
    min_steps: int | None = None

    def stopping(self, criteria: Criteria = None) -> Stopping:
        """The `stopping` of a manifest that means the same, or the one that judges by `criteria` instead.

        Raises SpecError, naming the field.
        """
        if isinstance(criteria, str | PathLike):
            return load_stopping(Path(criteria))
        document = {
            "monitor": self.monitor,
            "mode": self.mode,
            "nonFinite": "Stop" if self.check_finite else "Count",
            "restoreBest": self.restore_best,
            "minEpochs": self.min_epochs or None,
            "minSteps": self.min_steps or None,
            "startAfter": {"epoch": self.start_from_epoch} if self.start_from_epoch else None,
            "criteria": self._criteria() if criteria is None else [dict(one) for one in criteria],
        }
        return parse_stopping({name: value for name, value in document.items() if value is not None})

    def _criteria(self) -> list[dict[str, Any]]:
        """In the order in which Lightning asks, so that the same one is named where several stop."""
        missing = {} if self.strict else {"whenMissing": "Ignore"}
        found: list[dict[str, Any]] = []
        if self.stopping_threshold is not None:
            found.append({"threshold": {"value": self._beyond(self.stopping_threshold), **missing}})
        if self.divergence_threshold is not None:
            found.append({"divergence": {"value": float(self.divergence_threshold), **missing}})
        plateau = {
            "patience": max(1, self.patience),
            "minDelta": abs(float(self.min_delta)),
            "minDeltaMode": "Relative" if self.relative else "Absolute",
            "baseline": None if self.baseline is None else float(self.baseline),
        }
        known = {name: value for name, value in plateau.items() if value is not None}
        return [*found, {"plateau": {**known, **missing}}]

    def _beyond(self, threshold: float) -> float:
        """The nearest value that is better: a `threshold` is reached by a value equal to it."""
        return math.nextafter(threshold, math.inf if self.mode == "max" else -math.inf)
