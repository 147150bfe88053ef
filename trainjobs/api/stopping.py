"""When a run stops: the `stopping` part of a manifest.

Every family of criteria has one parameter model here and one field in `Single`; the module of the same
name in `trainjobs.stopping` judges by it. Compositions are typed by depth (`Criterion` holds `Member`s, a
`Member` holds `Single`s) because a Kubernetes schema cannot refer to itself.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, Field, JsonValue, model_validator

from trainjobs.api.base import REFERENCE, Choice, Form, HowMany, Location, Model, refuse
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
    "AtLeast", "Auto", "Budget", "Criterion", "Divergence", "Ema", "Member", "MinDeltaMode", "Mode", "Monitored",
    "NonFinite", "NonFiniteMetric", "Overfitting", "Plateau", "Single", "Smoothing", "StartAfter", "Stopping",
    "Threshold", "Watched", "WhenMissing", "Window",
]  # fmt: skip

LABEL = Form(
    "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?",
    'made of letters, digits, "-", "_" and ".", such as slow-plateau',
)
Label = Annotated[str, Field(max_length=63), LABEL]


class Auto(Monitored):
    """Stop when the run has stopped learning: the best rule known, with nothing that must be set."""

    example: ClassVar[str] = "{}"
    by_length: ClassVar[bool] = True

    loss: MetricName | None = None
    """Name of the validation loss beside `monitor`. Default: the one of the same data: `val_loss` of `val_accuracy`."""


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

    @property
    def other_metrics(self) -> tuple[str, ...]:
        return (self.against,)


class GeneralizationLoss(Monitored):
    """Stop when the metric is worse than its best by more than `alpha` percent (Prechelt's GL)."""

    example: ClassVar[str] = "{alpha: 5}"

    alpha: Positive
    """Percent of |best|, more than 0."""


class Strips(Monitored):
    """Parameters of the criteria that look at strips of reports, as Prechelt calls them."""

    strip_length: Annotated[int, Field(ge=2, le=1000, strict=True)] = 5
    """Reports of a strip, 2 to 1000; the criterion judges at the end of each."""


class ProductivityQuotient(Strips):
    """Stop when the generalization loss is large in proportion to the progress of training (Prechelt's PQ)."""

    example: ClassVar[str] = "{alpha: 0.5}"

    alpha: Positive
    """Percent of generalization loss for each per mille of training progress, more than 0."""
    against: MetricName = "train_loss"
    """Name of the training metric."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        return (self.against,)


class GeneralizationIncrease(Strips):
    """Stop when the metric has become worse in successive strips (Prechelt's UP)."""

    example: ClassVar[str] = "{strips: 4}"

    strips: Count
    """Successive strips that end worse than the one before, at least 1."""


class Trend(Monitored):
    """Stop when a straight line through the last values gains no more than a margin."""

    example: ClassVar[str] = "{window: 10, minDelta: 0.001}"

    window: Annotated[int, Field(ge=3, le=1000, strict=True)]
    """Number of last reports that the line is fitted to, 3 to 1000."""
    min_delta: Amount = 0.0
    """The line must gain more than this from the window's first report to its last, in units of the metric or as a
    fraction."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.ABSOLUTE
    """Absolute: `minDelta` in units of the metric. Relative: as a fraction of the magnitude of the line's beginning."""


class StandardDeviation(Monitored):
    """Stop when the standard deviation of the last values is within a limit."""

    example: ClassVar[str] = "{window: 10, limit: 0.001}"

    window: Annotated[int, Field(ge=2, le=1000, strict=True)]
    """Number of last reports, 2 to 1000."""
    limit: Amount
    """Largest standard deviation that is still, in units of the metric."""


class OneStandardError(Monitored):
    """Stop when no value is better than the best by more than its standard error for a number of reports."""

    example: ClassVar[str] = "{patience: 5, samples: 10000}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, of=("samples", "standard_error"))

    patience: Count
    """Reports without such a value until the stop, at least 1."""
    samples: Count | None = None
    """The metric is a rate (an accuracy, an error rate) over so many samples: its error is √(p·(1 - p)/samples)."""
    standard_error: MetricName | None = None
    """Name of a metric that reports the standard error with each value."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        return () if self.standard_error is None else (self.standard_error,)


class Correlation(Monitored):
    """Stop when validation and training metric no longer move together."""

    example: ClassVar[str] = "{window: 10}"

    window: Annotated[int, Field(ge=3, le=1000, strict=True)]
    """Number of last reports, 3 to 1000."""
    least: Annotated[float, Field(gt=-1, le=1, strict=True)] = 0.0
    """Pearson's coefficient must be less than this to stop, more than -1, at most 1."""
    against: MetricName = "train_loss"
    """Name of the training metric, better in the same direction."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        return (self.against,)


class AdaptivePatience(Monitored):
    """Stop like `plateau`, by a patience or margin that changes with the share of the run that is done."""

    example: ClassVar[str] = "{patience: 10, minDelta: 0.01, decay: 3}"
    by_length: ClassVar[bool] = True
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, of=("decay", "tighten_after"))

    patience: Count
    """Reports without improvement until the stop, at least 1."""
    min_delta: Amount = 0.0
    """A gain must be greater than this to count at first, in units of the metric or as a fraction of |best|."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.ABSOLUTE
    """Absolute: `minDelta` in units of the metric. Relative: as a fraction of the best value's magnitude."""
    decay: Positive | None = None
    """`minDelta` falls to minDelta·exp(-decay·progress), more than 0."""
    tighten_after: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    """After this share of the run patience falls to max(2, ⌊patience·(1 - progress)⌋) and `minDelta` rises to
    minDelta·(1 + progress); 0 to less than 1."""


class Extrapolation(Monitored):
    """Stop when what is left of the run will hardly improve on the best so far."""

    example: ClassVar[str] = "{probability: 0.05}"
    by_length: ClassVar[bool] = True

    probability: Annotated[float, Field(gt=0, lt=1, strict=True)] = 0.05
    """Stop when an improvement in the rest of the run is less probable than this, more than 0 and less than 1."""
    min_delta: Amount = 0.0
    """A gain must be greater than this to count, in units of the metric or as a fraction of |best|."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.ABSOLUTE
    """Absolute: `minDelta` in units of the metric. Relative: as a fraction of the best value's magnitude."""


class WeightedMetric(Model):
    """One more metric with its direction and weight."""

    example: ClassVar[str] = "{metric: val_accuracy, mode: max}"
    choice: ClassVar[Choice] = Choice(HowMany.AT_MOST_ONE, of=("weight", "importance"))

    metric: MetricName
    """Name of the metric as reported."""
    mode: Mode = Mode.MIN
    """Better is `min` or `max`."""
    weight: Positive | None = None
    """Fixed weight, more than 0; 1 where neither it nor `importance` is given."""
    importance: MetricName | None = None
    """Name of a metric that reports the weight each time; less than 0 counts as 0."""


class Weighted(Monitored):
    """Stop when the weighted gain of several metrics has been too small for a number of reports."""

    example: ClassVar[str] = "{others: [{metric: val_accuracy, mode: max}], patience: 5}"
    choice: ClassVar[Choice] = Choice(HowMany.AT_MOST_ONE, of=("weight", "importance"))

    others: Annotated[tuple[WeightedMetric, ...], Field(min_length=1, max_length=8)]
    """The metrics that are judged together with `monitor`, 1 to 8."""
    weight: Positive | None = None
    """Fixed weight of `monitor`, more than 0; 1 where neither it nor `importance` is given."""
    importance: MetricName | None = None
    """Name of a metric that reports the weight of `monitor` each time; less than 0 counts as 0."""
    patience: Count
    """Reports without improvement until the stop, at least 1."""
    min_delta: Amount = 0.0
    """The mean gain must be greater than this to count, in the metrics' units or as a fraction of each one's best."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.RELATIVE
    """Relative: each gain is a fraction of the magnitude of its metric at the best report. Absolute: as it is."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        importances = (self.importance, *(other.importance for other in self.others))
        return (
            *(other.metric for other in self.others),
            *(importance for importance in importances if importance is not None),
        )


class DecayedPlateau(Monitored):
    """Stop like `plateau`, by reports at a learning rate that has been reduced and has settled."""

    example: ClassVar[str] = "{patience: 5}"

    patience: Count
    """Reports without improvement until the stop, at least 1; those at a rate that is not settled are not counted."""
    min_delta: Amount = 0.0
    """A gain must be greater than this to count, in units of the metric or as a fraction of |best|."""
    min_delta_mode: MinDeltaMode = MinDeltaMode.ABSOLUTE
    """Absolute: `minDelta` in units of the metric. Relative: as a fraction of the best value's magnitude."""
    learning_rate: MetricName = "learning_rate"
    """Name of the metric that is the learning rate. The run reports `learning_rate` itself, from the first group of its
    first tracked optimizer."""
    decayed_to: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.1
    """The rate must have fallen to at most this share of the highest one seen, more than 0, at most 1."""
    cooldown: Annotated[int, Field(ge=0, strict=True)] = 1
    """Reports, from the first at a rate that has fallen by half or more, that are not counted."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        return (self.learning_rate,)


GRADIENT_EVIDENCE = "gradient_evidence"
GRADIENT_DISPARITY = "gradient_disparity"
"""Metrics that a run of several workers reports by itself when a criterion reads them."""


class Evidence(Monitored):
    """Stop when the gradients show no more than noise: no validation set is needed (Mahsereci et al.)."""

    example: ClassVar[str] = "{patience: 2}"

    monitor: MetricName | None = GRADIENT_EVIDENCE
    """Name of the metric, above 0 where there is noise alone; a run of several workers reports it by itself."""
    mode: Mode | None = Mode.MIN
    """Has no meaning here."""
    patience: Count = 1
    """Successive reports above 0 until the stop, at least 1."""


class GradientDisparity(Plateau):
    """Stop when the workers' gradients have not come closer to each other: no validation set is needed."""

    example: ClassVar[str] = "{patience: 5}"

    monitor: MetricName | None = GRADIENT_DISPARITY
    """Name of the metric, a squared distance; a run of several workers reports it by itself."""
    mode: Mode | None = Mode.MIN
    """Better is `min`: close to each other."""
    patience: Count = 5
    """Reports without a new lowest value until the stop, at least 1."""


class Mechanism(StrEnum):
    """How a private criterion hides one person's part in a metric."""

    LAPLACE = "Laplace"
    ABOVE_THRESHOLD = "AboveThreshold"


class Private(Watched):
    """Stop when a metric has not improved, saying so with differential privacy."""

    example: ClassVar[str] = "{patience: 5, sensitivity: 0.001, epsilon: 1, seed: 739201}"

    mode: Mode | None = None
    """Better is `min` or `max`. Default: `stopping.mode`."""
    patience: Count
    """Reports without improvement until the stop, at least 1."""
    min_delta: Amount = 0.0
    """A gain must be greater than this to count, in units of the metric."""
    sensitivity: Positive
    """How far one person's data can move any one value of the metric, in its units, more than 0."""
    epsilon: Positive
    """Privacy loss of each report (Laplace), or of all answers until the stop (AboveThreshold), more than 0."""
    mechanism: Mechanism = Mechanism.ABOVE_THRESHOLD
    """AboveThreshold: only whether to stop is told. Laplace: noisy values are told too."""
    seed: Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)]
    """Of the noise. Draw it at random and keep it secret: who knows it can subtract the noise."""


ClassName = Annotated[
    str,
    Field(max_length=253),
    Form(REFERENCE, "module:Class, such as rules:Stillness for the class Stillness in rules.py"),
]


class Custom(Model):
    """Stop when a class of your own says so."""

    example: ClassVar[str] = '{class: "rules:Stillness"}'

    class_: Annotated[ClassName, Field(alias="class")]
    """The class, as `module:Class`. The module lies beside the manifest or with the training function."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the class, free-form."""


class Single(Model):
    """One criterion of one family."""

    example: ClassVar[str] = "{plateau: {patience: 5}}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, beside=("name", "shadow", "start_after"))

    start_after: StartAfter | None = None
    """Gate of this criterion. Default of a criterion in `criteria`: `stopping.startAfter`."""
    auto: Auto | None = None
    """The run has stopped learning, by the best rule known; nothing must be set."""
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
    generalization_loss: GeneralizationLoss | None = None
    """The metric is worse than its best by so many percent."""
    productivity_quotient: ProductivityQuotient | None = None
    """Validation gets worse faster than training gets better."""
    generalization_increase: GeneralizationIncrease | None = None
    """The metric has become worse in successive strips of reports."""
    trend: Trend | None = None
    """A line through the last values gains too little."""
    standard_deviation: StandardDeviation | None = None
    """The last values scatter no more than a limit."""
    one_standard_error: OneStandardError | None = None
    """No value is better than the best by more than its standard error."""
    correlation: Correlation | None = None
    """Validation and training metric no longer move together."""
    adaptive_patience: AdaptivePatience | None = None
    """No improvement, by a patience or margin that changes with the run's progress."""
    extrapolation: Extrapolation | None = None
    """What is left of the run will hardly improve on the best so far."""
    weighted: Weighted | None = None
    """The weighted gain of several metrics is too small."""
    decayed_plateau: DecayedPlateau | None = None
    """No improvement at a learning rate that has been reduced and has settled."""
    evidence: Evidence | None = None
    """The gradients of the workers show no more than noise."""
    gradient_disparity: GradientDisparity | None = None
    """The gradients of the workers no longer come closer to each other."""
    private: Private | None = None
    """No improvement, told with differential privacy."""
    custom: Custom | None = None
    """A class of your own says so."""

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
        return self.given_alternatives()[0][0]

    @property
    def parameters(self) -> Any:
        """The value under `key`: a parameter model, or what a composition holds."""
        return self.given_alternatives()[0][1]

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
    def metrics(self) -> frozenset[str]:
        """Names of the metrics that criteria judge, `monitor` included."""
        families = (family for criterion in self.criteria for _, family in criterion.families())
        readers = [family for family in families if isinstance(family, Watched)]
        named = (name for reader in readers for name in (reader.monitor, *reader.other_metrics))
        return frozenset(name for name in (self.monitor, *named) if name is not None)

    @property
    def by_length(self) -> bool:
        """Whether a criterion asks how much of the run is done."""
        families = (family for criterion in self.criteria for _, family in criterion.families())
        return any(isinstance(family, Monitored) and family.by_length for family in families)

    @property
    def first_metric(self) -> str | None:
        """The metric that a report is made for: `monitor`, else what the first criterion judges; None for no metric."""
        families = (family for criterion in self.criteria for _, family in criterion.families())
        named = (family.monitor for family in families if isinstance(family, Watched))
        return self.monitor or next((name for name in named if name is not None), None)

    @property
    def names(self) -> tuple[str, ...]:
        """One label for each of `criteria`. Shadow criteria are numbered last, so they rename no other."""
        labels: dict[int, str] = {}
        used: Counter[str] = Counter()
        for i, criterion in sorted(enumerate(self.criteria), key=lambda item: item[1].shadow):
            key = criterion.key
            used[key] += criterion.name is None
            labels[i] = criterion.name or (key if used[key] == 1 else f"{key}-{used[key]}")
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
