"""What a run tells while it runs: one small record per thing that happened.

The driver hands them to a sink (the terminal, or the status in a cluster) and keeps all but `Progress` in the
run directory's `events.jsonl`. As JSON an event is one object with its class name under `event`; numbers that
JSON cannot hold are the strings "nan", "inf" and "-inf". No torch and no Ray here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from trainjobs.api import Length
from trainjobs.stopping import Finding, Observation, Ruling


@dataclass(frozen=True, slots=True)
class Starting:
    """The driver is bringing up the workers."""

    workers: int
    """Training processes, over all nodes."""
    nodes: int


@dataclass(frozen=True, slots=True)
class Started:
    """Every worker is about to train."""

    attempt: int
    """Counts from 1: one life of the driver."""
    world_size: int
    device: str
    """What the workers train on: "cpu" or the accelerator's name."""
    resumed_from_step: int | None
    """The checkpoint's step; None for a fresh start."""
    epoch: int
    """Epochs finished before this attempt; training goes on inside epoch + 1."""
    max_epochs: int | None
    """As the manifest says it; None where it says `max_steps`."""
    history: tuple[Observation, ...] = ()
    """What the checkpoint knew."""
    startup_seconds: float = 0.0
    max_steps: int | None = None

    @property
    def length(self) -> Length:
        """What the run trains when nothing stops it earlier."""
        return Length.of(self.max_epochs, self.max_steps)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where rank 0 is; sent a few times a second at most."""

    epoch: int
    """The epoch being trained, from 1."""
    step: int
    """Steps finished since the run began."""
    batch: int
    """Batches finished in this epoch."""
    batches: int | None
    """Batches in an epoch; None for a loader without a length."""
    seconds: float
    """Training seconds so far, all attempts together."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A report was reduced over the ranks and judged."""

    observation: Observation
    ruling_view: tuple[Mapping[str, Any], ...] = ()
    """One mapping per criterion: name, family, shadow, gated, closeness, waiting, reason, stop, metric, value."""
    best: Mapping[str, Any] | None = None
    """metric, value, epoch, step and report (its number, from 1) of the best value so far; None before there is one."""
    waiting: str = ""
    """The criterion closest to stopping, as in "plateau 3/5"."""
    report: int = 0
    """Its number over the whole history, from 1."""

    @classmethod
    def of(cls, observation: Observation, ruling: Ruling, report: int) -> Self:
        """The event of one judged report, the `report`th of the history."""
        return cls(observation, view(ruling), best_view(ruling), ruling.waiting, report)


@dataclass(frozen=True, slots=True)
class Decided:
    """The coordinator decided that the run ends."""

    decision: Mapping[str, Any]
    """`Decision.to_dict()`."""


@dataclass(frozen=True, slots=True)
class Halted:
    """Every rank has halted."""

    decision: Mapping[str, Any]
    steps: Mapping[int, int]
    """The step at which each rank halted, by rank."""
    milliseconds: float
    """From the decision to the last rank's halt."""


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint is durable."""

    uri: str
    epoch: int
    step: int
    seconds: float
    """How long writing it took."""
    repeats: int = 0
    """Batches before it that a resume trains again: of a loop of one's own that begins its epoch anew."""


@dataclass(frozen=True, slots=True)
class Final:
    """The metrics measured once, after the end, on data that no criterion saw."""

    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelSaved:
    """The weights at the end are written."""

    name: str
    """The file in the run's directory or storage."""
    epoch: int
    """The epoch that the weights are from."""
    step: int
    best: bool
    """Whether they are the best ones, restored; else they are the last."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended in an error."""

    rank: int | None
    """None when it was not a worker's."""
    kind: str
    """The exception's class name."""
    message: str
    traceback: str
    """The frames of the user's own code; empty when there are none."""
    exit_code: int
    of_peers: bool = False
    """It came of waiting for other ranks, so one of them may be the cause."""


@dataclass(frozen=True, slots=True)
class Restarting:
    """The next attempt begins from a checkpoint."""

    attempt: int
    reason: str
    from_step: int
    """The newest checkpoint that was written; `Started` says which one was found."""
    failed_attempts: int = 0
    """Those that count against `backoffLimit`, so far."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A line of the training function's output, from its process or one of its children; at most 65,536 characters."""

    rank: int
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know that does not end the run."""

    message: str


Event = (
    Starting
    | Started
    | Progress
    | Reported
    | Decided
    | Halted
    | Checkpointed
    | Final
    | ModelSaved
    | Failed
    | Restarting
    | Printed
    | Warned
)
_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__args__}


def view(ruling: Ruling) -> tuple[dict[str, Any], ...]:
    """The ruling as `Reported.ruling_view` carries it."""
    return tuple(row(finding) for finding in ruling.findings)


def row(finding: Finding) -> dict[str, Any]:
    """One criterion as `Reported.ruling_view` carries it."""
    return {
        "name": finding.name,
        "family": finding.family,
        "shadow": finding.shadow,
        "gated": finding.gated,
        "closeness": finding.verdict.closeness,
        "waiting": finding.verdict.waiting,
        "reason": finding.verdict.reason,
        "stop": finding.verdict.stop,
        "metric": finding.verdict.metric,
        "value": finding.verdict.value,
    }


def best_view(ruling: Ruling) -> dict[str, Any] | None:
    """The ruling's best as `Reported.best` carries it."""
    if ruling.best is None:
        return None
    best = ruling.best
    return asdict(best)


def to_dict(event: Event) -> dict[str, Any]:
    """The event as JSON holds it."""
    parts = {field.name: jsonable(getattr(event, field.name)) for field in fields(event)}
    return {"event": type(event).__name__, **parts}


def from_dict(document: Mapping[str, Any]) -> Event:
    """The event that `to_dict` wrote. Keys the event does not have (such as `time`) are passed over.

    Raises KeyError for an unknown `event`, TypeError or ValueError for a part that is missing or no such thing.
    """
    kind: Any = _KINDS[document["event"]]
    hints = _hints(kind)
    parts = {name: _READ.get(name, _same)(value) for name, value in document.items() if name in hints}
    for name, value in parts.items():
        if not _fits(value, hints[name]):
            raise TypeError(f"{name} is no {hints[name]}")
    event: Event = kind(**parts)
    return event


def jsonable(value: Any) -> Any:
    """`value` with tuples as lists, keys as strings, and numbers that JSON cannot hold as strings."""
    if isinstance(value, Observation):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a field's annotation says: what is read may have been written by anybody."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return any(_fits(value, part) for part in parts)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(part, parts[1]) for part in value.values())
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(part, parts[0]) for part in value)
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return hint is Any or isinstance(value, hint)


def _decision(value: Any) -> Any:
    """A decision, or none, with what everybody asks of one."""
    if value and not (
        all(isinstance(value[name], str) for name in ("outcome", "reason"))
        and isinstance(value.get("criterion"), str | None)
        and _fits(value["decided_at_step"], int)
    ):
        raise TypeError("decision has no outcome, reason or step")
    return value


def _steps(value: Any) -> dict[int, int]:
    """A step for each rank, of at least one."""
    if not value:
        raise ValueError("steps are of no rank")
    return {int(rank): step for rank, step in value.items()}


def _same(value: Any) -> Any:
    return value


_READ: Mapping[str, Callable[[Any], Any]] = {
    "history": lambda items: tuple(Observation.from_dict(item) for item in items),
    "observation": Observation.from_dict,
    "ruling_view": tuple,
    "steps": _steps,
    "decision": _decision,
    "metrics": lambda metrics: {name: float(value) for name, value in metrics.items()},
}
