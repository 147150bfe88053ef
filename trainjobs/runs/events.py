"""What a run tells while it runs: one small record per thing that happened.

The driver hands them to a sink (the terminal, or the status in a cluster) and keeps all but `Progress` in the
run directory's `events.jsonl`. How they look as JSON is `codec.py`'s to know. No torch and no Ray here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from annotated_types import MinLen
from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    WrapSerializer,
)

from trainjobs.api import Length, Stopping
from trainjobs.coordination.decision import Decision
from trainjobs.stopping import Best, Finding, Observation, Ruling
from trainjobs.stopping.observation import MOST


def _decision_or_none(value: Any) -> Any:
    """`{}` stands for no decision."""
    return None if value == {} else value


def _decision_or_empty(decision: Decision | None, write: Callable[[Any], Any]) -> Any:
    return {} if decision is None else write(decision)


Seen = Annotated[Observation, PlainValidator(Observation.from_dict), PlainSerializer(Observation.to_dict)]
"""An observation, as the history holds it too."""
MaybeDecision = Annotated[
    Decision | None, BeforeValidator(_decision_or_none), WrapSerializer(_decision_or_empty)
]


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """What one criterion said of a report."""

    name: str
    family: str
    """The manifest's key, e.g. "plateau" or "atLeast"."""
    shadow: bool
    gated: str | None
    """The gate that holds it back."""
    closeness: float
    """From 0 (far from stopping) to 1 (stops)."""
    waiting: str
    reason: str
    stop: bool
    metric: str | None = None
    value: float | None = None
    """As judged; may be NaN or infinite."""

    @classmethod
    def of(cls, finding: Finding) -> Self:
        verdict = finding.verdict
        return cls(
            finding.name,
            finding.family,
            finding.shadow,
            finding.gated,
            verdict.closeness,
            verdict.waiting,
            verdict.reason,
            verdict.stop,
            verdict.metric,
            verdict.value,
        )


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
    history: tuple[Seen, ...] = ()
    """What the checkpoint knew."""
    startup_seconds: FiniteFloat = 0.0
    max_steps: int | None = None

    @property
    def length(self) -> Length:
        """What the run trains when nothing stops it earlier."""
        return Length.of(self.max_epochs, self.max_steps)


@dataclass(frozen=True, slots=True)
class FirstStep:
    """The first step of an attempt is done."""

    seconds: Mapping[str, FiniteFloat]
    """What its start took, by stages that follow each other: workers (until rank 0 is there and has met the others),
    imports (of the training function's module), checkpoint (looking for one, and reading it), setup (of the training
    function, until its steps begin), step (the first one)."""

    @property
    def total(self) -> float:
        """Seconds of the whole start."""
        return sum(self.seconds.values())


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

    observation: Seen
    results: Annotated[tuple[CriterionResult, ...], Field(alias="ruling_view")] = ()
    """One for each criterion, in the manifest's order."""
    best: Best | None = None
    """The best value so far; None before there is one."""
    waiting: str = ""
    """The criterion closest to stopping, as in "plateau 3/5"."""
    report: int = 0
    """Its number over the whole history, from 1."""

    @classmethod
    def of(cls, observation: Observation, ruling: Ruling, report: int) -> Self:
        """The event of one judged report, the `report`th of the history."""
        return cls(observation, results_of(ruling), ruling.best, ruling.waiting, report)


@dataclass(frozen=True, slots=True)
class Decided:
    """The coordinator decided that the run ends."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Halted:
    """Every rank has halted."""

    decision: MaybeDecision
    """None where the run has come to its end."""
    steps: Annotated[Mapping[int, Annotated[StrictInt, Field(ge=0, le=MOST)]], MinLen(1)]
    """The step at which each rank halted, by rank."""
    milliseconds: float
    """From the decision to the last rank's halt."""
    whole: Annotated[bool | None, Field(exclude_if=lambda whole: whole is None)] = None
    """Whether the run has come to its length; None: a halt before its end, or an earlier version, does not say so."""
    epochs: Annotated[int | None, Field(exclude_if=lambda epochs: epochs is None)] = None
    """Finished epochs; None: an earlier version does not say so."""
    amid: Annotated[bool, Field(exclude_if=lambda amid: not amid)] = False
    """Whether steps of the next epoch were made."""


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint is durable."""

    uri: str
    epoch: int
    step: int
    seconds: FiniteFloat
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


@dataclass(frozen=True, slots=True)
class CriteriaChanged:
    """From now on the run is judged by other criteria; the whole history is folded again."""

    stopping: Stopping


Event = (
    Starting
    | Started
    | FirstStep
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
    | CriteriaChanged
)


Tell = Callable[[Event], None]
"""Takes an event, without waiting."""


def results_of(ruling: Ruling) -> tuple[CriterionResult, ...]:
    """What each criterion says in a ruling."""
    return tuple(CriterionResult.of(finding) for finding in ruling.findings)
