"""When a run stops: the `stopping` part of a manifest.

Every family of criteria has one parameter model here and one field in `Single`; the module of the same
name in `trainjobs.stopping` judges by it. Compositions are typed by depth (`Criterion` holds `Member`s, a
`Member` holds `Single`s) because a Kubernetes schema cannot refer to itself.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from trainjobs.api.base import Choice, Form, HowMany, Location, Model, refuse
from trainjobs.api.monitoring import (
    Amount,
    Count,
    Ema,
    Flag,
    MetricName,
    MinDeltaMode,
    Mode,
    Monitored,
    NonFinite,
    Number,
    Positive,
    Smoothing,
    StartAfter,
    Watched,
    WhenMissing,
    Window,
)

__all__ = [
    "AtLeast", "Budget", "Criterion", "Divergence", "Ema", "Member", "MinDeltaMode", "Mode", "Monitored",
    "NonFinite", "NonFiniteMetric", "Overfitting", "Plateau", "Single", "Smoothing", "StartAfter", "Stopping",
    "Threshold", "Watched", "WhenMissing", "Window",
]  # fmt: skip

LABEL = Form(
    "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?",
    'made of letters, digits, "-", "_" and ".", such as slow-plateau',
)
Label = Annotated[str, Field(max_length=63), LABEL]


class Plateau(Monitored):
    """Stop when a metric has not improved for a number of reports."""

    example: ClassVar[str] = "{patience: 5}"

    patience: Count
    """Reports without improvement until the stop, at least 1."""
    min_delta: Amount = 0.0
    """A gain must be greater than this to count, in units of the metric or as a fraction of |best|."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.ABSOLUTE
    """Absolute: `minDelta` in units of the metric. Relative: as a fraction of the best value's magnitude."""
    baseline: Number | None = None
    """Until a value is better than this by more than `minDelta`, improvements do not reset the count."""


class Threshold(Monitored):
    """Stop when a metric has reached a value."""

    example: ClassVar[str] = "{value: 0.99}"

    value: Number
    """The goal, in units of the metric; a value equal to it has reached it."""


class Divergence(Monitored):
    """Stop when a metric is worse than a limit; exactly one of `value`, `factor`, `amount` sets the limit."""

    example: ClassVar[str] = "{factor: 0.5}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, of=("value", "factor", "amount"))

    value: Number | None = None
    """Worse than this value, in units of the metric."""
    factor: Positive | None = None
    """Worse than the best value so far by more than this fraction of |best|."""
    amount: Amount | None = None
    """Worse than the best value so far by more than this, in units of the metric."""
    patience: Count = 1
    """Successive reports beyond the limit until the stop, at least 1."""


class NonFiniteMetric(Watched):
    """Stop when a metric is NaN or infinite."""

    example: ClassVar[str] = "{monitor: train_loss}"

    patience: Count = 1
    """Successive non-finite reports until the stop, at least 1."""


class Budget(Model):
    """Stop when the run has used what it may use; at least one limit, the first one reached counts."""

    example: ClassVar[str] = "{seconds: 3600}"
    choice: ClassVar[Choice] = Choice(HowMany.AT_LEAST_ONE)

    epochs: Count | None = None
    """Finished epochs since the start of the run."""
    steps: Count | None = None
    """Finished optimizer steps since the start of the run."""
    seconds: Positive | None = None
    """Training seconds since the start of the run, all attempts added up."""


class Overfitting(Monitored):
    """Stop when the validation metric stays worse than the training metric by more than a gap."""

    example: ClassVar[str] = "{gap: 0.3}"

    gap: Amount
    """Distance that `monitor` may be worse than `against`, in units of the metric."""
    against: MetricName = "train_loss"
    """Name of the training metric."""
    patience: Count = 1
    """Successive reports with a larger gap until the stop, at least 1."""


class Single(Model):
    """One criterion of one family."""

    example: ClassVar[str] = "{plateau: {patience: 5}}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, beside=("name", "shadow", "start_after"))

    start_after: StartAfter | None = None
    """Gate of this criterion. Default of a criterion in `criteria`: `stopping.startAfter`."""
    plateau: Plateau | None = None
    """No improvement for a number of reports."""
    threshold: Threshold | None = None
    """The metric has reached a value."""
    divergence: Divergence | None = None
    """The metric is worse than a limit."""
    non_finite: NonFiniteMetric | None = None
    """The metric is NaN or infinite."""
    budget: Budget | None = None
    """Epochs, steps or seconds are used up."""
    overfitting: Overfitting | None = None
    """The gap between validation and training metric is too large."""

    @model_validator(mode="before")
    @classmethod
    def _belongs_higher(cls, source: Any) -> Any:
        """Say why a field of `Criterion` or `Member` is none of a deeper level."""
        for key in source if isinstance(source, dict) else ():
            if key in ("all", "atLeast", "not") and "all" not in cls.model_fields:
                raise ValueError(f"{key}: compositions nest at most 2 deep; name a family here")
            if key in ("name", "shadow") and key not in cls.model_fields:
                raise ValueError(f"{key}: belongs to the whole criterion, not to a member of a composition")
        return source

    @property
    def key(self) -> str:
        """The family's or composition's name as the manifest writes it, e.g. "plateau"."""
        return self._given()[0][0]

    @property
    def parameters(self) -> Any:
        """The value under `key`: a parameter model, or what a composition holds."""
        return self._given()[0][1]

    def _given(self) -> list[tuple[str, Any]]:
        """What is given of the alternatives: its name in a manifest, and its value."""
        fields, values = type(self).model_fields, {name: getattr(self, name) for name in self.alternatives()}
        return [(fields[name].alias or name, value) for name, value in values.items() if value is not None]

    def members(self) -> tuple[tuple[Location, "Single"], ...]:
        """What a composition holds, each with its location inside this criterion; a family holds nothing."""
        return ()

    def families(self) -> Iterator[tuple[Location, Model]]:
        """The parameters of every family inside, in order, each with its location inside this criterion."""
        members = self.members()
        if not members:
            yield (self.key,), self.parameters
        for place, member in members:
            yield from (((*place, *inner), family) for inner, family in member.families())


S = TypeVar("S", bound=Single)


def _not_empty(members: tuple[S, ...]) -> tuple[S, ...]:
    if not members:
        raise ValueError("must hold at least one criterion; got none")
    return members


Members = Annotated[
    tuple[S, ...], Field(max_length=8, json_schema_extra={"minItems": 1}), AfterValidator(_not_empty)
]


class AtLeast(Model):
    """Stop when enough of the members say stop at the same observation.

    No generic type: a parametrised one has no name by which another process could find it.
    """

    example: ClassVar[str] = "{count: 1, of: [{plateau: {patience: 5}}]}"

    count: Count
    """How many members must say stop, at least 1 and at most their number."""
    of: Members[Single]
    """The members, 1 to 8."""

    @model_validator(mode="after")
    def _enough_members(self) -> Self:
        if self.count > len(self.of):
            raise ValueError(f"count must be at most the number of members, {len(self.of)}; got {self.count}")
        return self


class Member(Single):
    """One criterion inside a composition: a family, or a composition of families."""

    all: Members[Single] | None = None
    """Stop when all of these, 1 to 8, say stop at the same observation."""
    at_least: AtLeast | None = None
    """Stop when enough of these say stop at the same observation."""
    not_: Annotated[Single | None, Field(alias="not")] = None
    """Stop when this says that it would not."""

    def members(self) -> tuple[tuple[Location, Single], ...]:
        if self.not_ is not None:
            return ((("not",), self.not_),)
        if self.at_least is not None:
            return tuple((("atLeast", "of", i), member) for i, member in enumerate(self.at_least.of))
        return tuple((("all", i), member) for i, member in enumerate(self.all or ()))


class AtLeastMembers(AtLeast):
    """Stop when enough of the members say stop at the same observation."""

    of: Members[Member]
    """The members, 1 to 8."""


class Criterion(Member):
    """One judge of a run: exactly one family or composition."""

    all: Members[Member] | None = None
    """Stop when all of these, 1 to 8, say stop at the same observation."""
    at_least: AtLeastMembers | None = None
    """Stop when enough of these say stop at the same observation."""
    not_: Annotated[Member | None, Field(alias="not")] = None
    """Stop when this says that it would not."""
    name: Label | None = None
    """Label in decisions, status and reports. Default: the family's key; its second use is `plateau-2`."""
    shadow: Flag = False
    """Evaluated and reported, never stops the run."""


class Stopping(Model):
    """When the run stops before its whole length: any of the criteria stops it."""

    example: ClassVar[str] = "{monitor: val_loss, criteria: [{plateau: {patience: 5}}]}"

    monitor: MetricName | None = None
    """Name of the metric that criteria judge and that decides which checkpoint is best, e.g. `val_loss`."""
    mode: Mode = Mode.MIN
    """Better is `min` (a loss) or `max` (an accuracy)."""
    start_after: StartAfter | None = None
    """Gate of every criterion that has none of its own."""
    min_epochs: Count | None = None
    """No stop before so many epochs are finished; all is seen from the start, and judged anew then."""
    min_steps: Count | None = None
    """No stop before so many optimizer steps are finished; otherwise like `minEpochs`."""
    smoothing: Smoothing | None = None
    """Smoothing of every monitored metric whose criterion has none of its own."""
    non_finite: NonFinite = NonFinite.STOP
    """What NaN or infinity means to every criterion that does not say: Stop, Count or Ignore."""
    criteria: Annotated[tuple[Criterion, ...], Field(max_length=16)] = ()
    """Any of these, at most 16, stops the run; when several do at once, the first is named."""
    restore_best: Flag = False
    """End with the model from the best checkpoint by `monitor` instead of the last one; needs `monitor`."""

    @property
    def names(self) -> tuple[str, ...]:
        """One label for each of `criteria`. Shadow criteria are numbered last, so they rename no other."""
        labels: dict[int, str] = {}
        used: Counter[str] = Counter()
        for i, criterion in sorted(enumerate(self.criteria), key=lambda item: item[1].shadow):
            used[criterion.key] += criterion.name is None
            number = used[criterion.key]
            labels[i] = criterion.name or (criterion.key if number == 1 else f"{criterion.key}-{number}")
        return tuple(labels[i] for i in range(len(self.criteria)))

    @model_validator(mode="after")
    def _metric_for_every_reader(self) -> Self:
        if self.monitor is None:
            refuse(
                (("criteria", i, *place, "monitor"), None, "must name a metric, here or in stopping.monitor")
                for i, criterion in enumerate(self.criteria)
                for place, family in criterion.families()
                if isinstance(family, Watched) and family.monitor is None
            )
        return self

    @model_validator(mode="after")
    def _metric_for_the_best(self) -> Self:
        if self.monitor is None and self.restore_best:
            refuse([(("monitor",), None, "must name the metric whose best model restoreBest restores")])
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = self.names
        refuse(
            (
                ("criteria", i, "name"),
                name,
                f"must be unique; it is the name of criteria[{names.index(name)}]",
            )
            for i, name in enumerate(names)
            if name in names[:i]
        )
        return self
