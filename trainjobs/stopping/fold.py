"""The shape of every criterion: a pure fold over the history, ending in a verdict."""

from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

from trainjobs.api.base import Location
from trainjobs.api.stopping import Mode, NonFinite, Smoothing, Stopping
from trainjobs.stopping.earliest import Earliest, Pace
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict

S = TypeVar("S")


class Fold(Protocol[S]):
    """Judges a run by what was reported. States are immutable, and all that a fold remembers is in them."""

    def start(self) -> S:
        """The state before the first observation."""
        ...

    def update(self, state: S, seen: Observation) -> S:
        """The state after one more observation. Raises MissingMetric."""
        ...

    def judge(self, state: S) -> Verdict:
        """What the criterion says now."""
        ...

    def stops(self, state: S) -> bool:
        """Whether `judge` says stop, without its sentence: who judges a million reports needs one of them."""
        ...

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        """When it could first say stop (or, not `stop`, to go on), if it sees its first report at `first`."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What is around a criterion in the manifest: its place, and defaults for what it leaves unset."""

    path: str
    """Place in the manifest, e.g. "spec.stopping.criteria[0].plateau"."""
    monitor: str | None = None
    mode: Mode = Mode.MIN
    smoothing: Smoothing | None = None
    non_finite: NonFinite = NonFinite.STOP

    @classmethod
    def of(cls, stopping: Stopping, path: str) -> Self:
        return cls(path, stopping.monitor, stopping.mode, stopping.smoothing, stopping.non_finite)

    def at(self, location: Location) -> Self:
        """The scope of a part inside."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
        return replace(self, path=self.path + "".join(steps))

    def metric(self, monitor: str | None) -> str:
        """The metric to judge: the criterion's own, else the default."""
        metric = monitor or self.monitor
        if metric is None:
            raise ValueError(f"{self.path}: must name a metric, here or in stopping.monitor")
        return metric
