"""What a run has reported: the only thing that criteria know."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self, TypeAlias, TypeVar

from trainjobs.api.stopping import WhenMissing


class MissingMetric(Exception):
    """A criterion or a gate reads a metric that an observation does not have."""

    def __init__(self, path: str, metric: str, reported: Sequence[str], place: str) -> None:
        super().__init__(path, metric, tuple(reported), place)
        self.path = path
        """Place in the manifest, e.g. "spec.stopping.criteria[0].plateau"."""
        self.metric = metric
        self.reported = tuple(reported)
        self.place = place
        """Of the observation, e.g. "epoch 3"."""

    @property
    def nearest(self) -> str | None:
        """The reported metric with the most similar name, if any is similar."""
        return next(iter(get_close_matches(self.metric, self.reported, n=1)), None)

    def __str__(self) -> str:
        nearest = f'; did you mean "{self.nearest}"?' if self.nearest else "."
        return (
            f'{self.path}: metric "{self.metric}" was not reported at {self.place}; '
            f"reported: {', '.join(self.reported) or 'none'}{nearest} "
            "Report it, name another, or set whenMissing: Ignore to pass over such reports."
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """One report of a run, its metrics reduced over all ranks."""

    epoch: int
    """Number of the epoch that the report was made in; the first is 1."""
    step: int
    """Optimizer steps finished since the start of the run."""
    seconds: float
    """Training seconds since the start of the run, attempts and resumes added up."""
    metrics: Mapping[str, float]
    whole: bool = True
    """Whether the epoch's training was over by then; False for a report amid its steps."""

    @property
    def epochs(self) -> int:
        """Epochs finished: what every limit in epochs counts."""
        return self.epoch if self.whole else self.epoch - 1

    @property
    def place(self) -> str:
        """Such as "epoch 3", or "step 400" for a report amid an epoch."""
        return f"epoch {self.epoch}" if self.whole else f"step {self.step}"

    def read(self, metric: str, when_missing: WhenMissing, path: str) -> float | None:
        """The metric's value; None if it is missing and may be. Raises MissingMetric if it may not."""
        if metric in self.metrics:
            return float(self.metrics[metric])
        if when_missing == WhenMissing.IGNORE:
            return None
        raise MissingMetric(path, metric, tuple(self.metrics), self.place)

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: a NaN or infinite metric becomes a string ("nan", "inf", "-inf")."""
        metrics = {name: _jsonable(float(value)) for name, value in self.metrics.items()}
        partial = {} if self.whole else {"whole": False}
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "metrics": metrics,
            **partial,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The observation that `to_dict` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            epoch=_bounded(int(document["epoch"])),
            step=_bounded(int(document["step"])),
            seconds=_bounded(float(document["seconds"])),
            metrics={name: float(value) for name, value in document["metrics"].items()},
            whole=bool(document.get("whole", True)),
        )


MOST = 10**15
"""Of steps, epochs and seconds in a history."""
N = TypeVar("N", int, float)

History: TypeAlias = Sequence[Observation]
"""All observations of a run, oldest first."""


def _bounded(number: N) -> N:
    """A number that can be added up and estimated with."""
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} is not a number from 0 to {MOST:,}")
    return number


def _jsonable(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
