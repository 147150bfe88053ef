"""The shape of every criterion: a pure fold over the history, ending in a verdict."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

from trainjobs.api.base import Location
from trainjobs.api.length import Length, Unit
from trainjobs.api.stopping import Mode, NonFinite, Smoothing, Stopping
from trainjobs.exits import ConfigError
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
    length: Length | None = None
    """What the run trains when nothing stops it; None if that is not known."""
    code: Path | None = None
    """Where the user's own classes lie; None: here they are not to be imported."""

    @property
    def unit(self) -> Unit:
        """Of the run's length; sentences name moments in it. Epochs where the length is not known."""
        return self.length.unit if self.length else Unit.EPOCH

    @classmethod
    def of(
        cls, stopping: Stopping, path: str, length: Length | None = None, code: Path | None = None
    ) -> Self:
        above = (stopping.monitor, stopping.mode, stopping.smoothing, stopping.non_finite)
        return cls(path, *above, length, code)

    def at(self, location: Location) -> Self:
        """The scope of a part inside."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
        return replace(self, path=self.path + "".join(steps))

    def known_length(self) -> Length:
        """The run's length, for a criterion that asks how much of it is done. Raises ConfigError if it is not known."""
        if self.length is None:
            raise ConfigError(
                f"{self.path}: asks how much of the run is done, and its length is not known: say it, in a TrainJob "
                "by trainer.maxEpochs or trainer.maxSteps, to CriteriaStopper.of by max_epochs"
            )
        return self.length

    def metric(self, monitor: str | None) -> str:
        """The metric to judge: the criterion's own, else the default."""
        metric = monitor or self.monitor
        if metric is None:
            raise ValueError(f"{self.path}: must name a metric, here or in stopping.monitor")
        return metric
