"""Which trials of a sweep are stopped early: the objective they are compared by, and the criteria across them.

Every family has one parameter model here and one field in `PruningCriterion`; the module of the same name in
`trainjobs.stopping.across` judges by it.
"""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from trainjobs.api.base import Choice, HowMany, Model, refuse
from trainjobs.api.monitoring import Count, Flag, MetricName, Mode


class At(StrEnum):
    """Which of a trial's values is its objective."""

    BEST = "best"
    LAST = "last"


class Objective(Model):
    """What trials are compared by."""

    example: ClassVar[str] = "{metric: val_loss, mode: min}"

    metric: MetricName
    """Name of a metric that every trial reports once an epoch at least."""
    mode: Mode = Mode.MIN
    """Better is `min` (a loss) or `max` (an accuracy)."""
    at: At = At.BEST
    """A trial stands by its `best` value so far, or by its `last` one. NaN and infinity rank last."""


class Median(Model):
    """Prune a trial whose objective is worse than the median of the others' at the same epoch."""

    example: ClassVar[str] = "{}"


class Percentile(Model):
    """Prune a trial whose objective is not among the best share of the others' at the same epoch."""

    example: ClassVar[str] = "{keep: 25}"

    keep: Annotated[float, Field(gt=0, lt=100, strict=True)]
    """Percent of the trials that go on, between 0 and 100; 50 is the median."""


class SuccessiveHalving(Model):
    """At rungs, epochs that grow by a factor, only the best share of trials goes on, at least two (asynchronous)."""

    example: ClassVar[str] = "{reductionFactor: 2, minEpochs: 2}"

    reduction_factor: Annotated[int, Field(ge=2, le=100, strict=True)] = 2
    """One of so many trials passes a rung, and the next rung is so many times as far."""
    min_epochs: Count = 2
    """Epoch of the first rung."""


class Hyperband(Model):
    """Successive halving in brackets, each with a later first rung (asynchronous)."""

    example: ClassVar[str] = "{reductionFactor: 3, maxEpochs: 27}"

    reduction_factor: Annotated[int, Field(ge=2, le=100, strict=True)] = 3
    """One of so many trials passes a rung, and the next rung is so many times as far."""
    min_epochs: Count = 1
    """Epoch of the first rung of the first bracket."""
    max_epochs: Count
    """Epochs of a trial that passes all rungs: with the other two it sets the number of brackets."""

    @model_validator(mode="after")
    def _has_a_rung(self) -> Self:
        if self.max_epochs < self.min_epochs:
            told = f"must be at least minEpochs, which is {self.min_epochs}"
            refuse([(("maxEpochs",), self.max_epochs, told)])
        return self


class Wilcoxon(Model):
    """Prune a trial whose values are significantly worse than the best trial's, epoch by epoch."""

    example: ClassVar[str] = "{pThreshold: 0.1}"

    p_threshold: Annotated[float, Field(gt=0, lt=0.5, strict=True)] = 0.1
    """Prune below this probability that such values come of no difference."""


class PruningCriterion(Model):
    """One judge of a trial among others: exactly one family."""

    example: ClassVar[str] = "{median: {}}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, beside=("shadow",))

    median: Median | None = None
    """Worse than the median of the others."""
    percentile: Percentile | None = None
    """Not among the best share."""
    successive_halving: SuccessiveHalving | None = None
    """Not among the best share at a rung."""
    hyperband: Hyperband | None = None
    """Not among the best share at a rung of its bracket."""
    wilcoxon: Wilcoxon | None = None
    """Significantly worse than the best trial."""
    shadow: Flag = False
    """Evaluated and reported, never prunes."""

    @property
    def key(self) -> str:
        """The family's name as the manifest writes it, e.g. "successiveHalving"."""
        return self.given_alternatives()[0][0]

    @property
    def parameters(self) -> Any:
        """The value under `key`."""
        return self.given_alternatives()[0][1]


class PruningGate(Model):
    """Nothing is pruned before it."""

    example: ClassVar[str] = "{epoch: 2}"

    epoch: Annotated[int, Field(ge=0, strict=True)] = 1
    """Epochs that a trial finishes in any case."""


class Pruning(Model):
    """When a trial is stopped because others do better. Empty: never."""

    example: ClassVar[str] = "{criteria: [{median: {}}]}"

    start_after: PruningGate = PruningGate()
    """No trial is judged at or before this epoch."""
    min_trials: Count = 2
    """Other trials that must have reached the epoch, or the comparison says nothing."""
    criteria: Annotated[tuple[PruningCriterion, ...], Field(max_length=16)] = ()
    """Any of these, at most 16, prunes a trial; when several do at once, the first is named."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        counted = Counter(criterion.key for criterion in self.criteria)
        refuse(
            (("criteria", i), criterion.key, "is there twice; keep one of them")
            for i, criterion in enumerate(self.criteria)
            if counted[criterion.key] > 1 and criterion.key in [earlier.key for earlier in self.criteria[:i]]
        )
        return self
