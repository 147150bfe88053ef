"""What is decided and what is asked for: values that travel whole to every rank."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from trainjobs.api.reasons import RunOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainjobs.stopping.observation import Observation
    from trainjobs.stopping.panel import Finding, Ruling


class Outcome(StrEnum):
    """What becomes of the run."""

    CONTINUE = "Continue"
    """Nothing: train on."""
    EARLY_STOPPED = RunOutcome.EARLY_STOPPED
    """A criterion has stopped it; the run is complete."""
    STOP_REQUESTED = RunOutcome.STOP_REQUESTED
    """A person has stopped it with the stop verb; the run is complete."""
    PRUNED = RunOutcome.PRUNED
    """A sweep has stopped this trial because others do better: it is complete, and its training function is not
    run to its end."""
    INTERRUPTED = RunOutcome.INTERRUPTED
    """SIGTERM, Ctrl-C or suspend: checkpoint and leave; the run can be resumed."""
    FAILED = RunOutcome.FAILED
    """A rank cannot go on (its disk is full): all leave with an error."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One rank's wish to end the run. The first vote that reaches rank 0 becomes the decision."""

    rank: int
    outcome: Outcome
    reason: str
    """A sentence with the numbers."""
    criterion: str | None = None
    metric: str | None = None
    value: float | None = None
    best: float | None = None
    best_epoch: int | None = None

    def __post_init__(self) -> None:
        if self.outcome == Outcome.CONTINUE:
            raise ValueError("a vote cannot ask to continue: vote for an outcome that ends the run")

    @classmethod
    def of_finding(cls, rank: int, finding: Finding) -> Self:
        """The vote that a criterion's verdict amounts to."""
        verdict = finding.verdict
        return cls(
            rank=rank,
            outcome=Outcome.EARLY_STOPPED,
            reason=verdict.reason,
            criterion=finding.name,
            metric=verdict.metric,
            value=verdict.value,
            best=verdict.best,
            best_epoch=verdict.best_epoch,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What rank 0 has decided: equal on every rank, in every field."""

    outcome: Outcome
    criterion: str | None
    reason: str
    metric: str | None
    value: float | None
    best: float | None
    best_epoch: int | None
    decided_at_step: int
    """Training steps that rank 0 had finished."""
    halt_at_step: int | None
    """Training steps at which the ranks did halt; None until `Coordinator.halt` has gathered them."""
    decided_at: float
    """Unix time in seconds, by rank 0's clock."""

    @property
    def stop(self) -> bool:
        return self.outcome != Outcome.CONTINUE

    @property
    def unwinds(self) -> bool:
        """Whether the training function is left where it halts, instead of going on to what comes after training."""
        return self.outcome in (Outcome.INTERRUPTED, Outcome.PRUNED)

    @classmethod
    def of_vote(cls, vote: Vote, step: int, now: float) -> Self:
        return cls(
            outcome=vote.outcome,
            criterion=vote.criterion,
            reason=vote.reason,
            metric=vote.metric,
            value=vote.value,
            best=vote.best,
            best_epoch=vote.best_epoch,
            decided_at_step=step,
            halt_at_step=None,
            decided_at=now,
        )

    @classmethod
    def to_continue(cls, reason: str, step: int, now: float) -> Self:
        return cls(Outcome.CONTINUE, None, reason, None, None, None, None, step, None, now)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        return cls(**{**fields, "outcome": Outcome(fields["outcome"])})


@dataclass(frozen=True, slots=True)
class JudgedReport:
    """What a report came to; decision and observation are equal on every rank."""

    decision: Decision
    observation: Observation | None
    """None if another rank had halted before this report, so that there was nothing whole to reduce."""
    ruling: Ruling | None
    """The panel's view of every criterion; on rank 0 only."""
    best: bool = False
    """It is the best so far, by the criteria of now."""
    restore_best: bool = False
    """The run is to end with the weights of the best, by the criteria of now."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Where every rank has halted."""

    decision: Decision | None
    """None if the ranks have met at the end of training with nothing decided."""
    steps: dict[int, int]
    """Training steps finished, by rank."""
