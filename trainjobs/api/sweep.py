"""The kind TrainSweep: many TrainJobs of one template, what differs between them, and which are stopped early."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from math import floor
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from trainjobs.api.base import Choice, HowMany, Location, Model, refuse
from trainjobs.api.metadata import Metadata
from trainjobs.api.monitoring import Count, Flag, Mode, Number, Positive
from trainjobs.api.pruning import Objective, Pruning
from trainjobs.api.sweep_status import TrainSweepStatus
from trainjobs.api.trainjob import MOST_PODS, Seconds, Stop, TrainJobSpec

SLOT_FIELDS = ("numNodes", "numProcPerNode", "resourcesPerNode")
"""Of `spec.trainer`: what a slot is made of, so that no parameter may change it."""


def _ascending(span: Any) -> Any:
    """The validator of every range."""
    if span.max <= span.min:
        refuse([(("max",), span.max, f"must be more than min, which is {span.min}")])
    step = getattr(span, "step", None)
    if step is not None and step > span.max - span.min:
        refuse([(("step",), step, f"must be at most max - min, or {span.min} is the only value")])
    return span


class Uniform(Model):
    """Any number of a range, each as likely."""

    example: ClassVar[str] = "{min: 0.8, max: 0.99}"

    min: Number
    """The least."""
    max: Number
    """The greatest; more than `min`."""
    step: Positive | None = None
    """Only `min` and what is a whole number of steps above it. Unset: any."""

    _ordered = model_validator(mode="after")(_ascending)

    @property
    def last_step(self) -> int:
        """As many steps above `min` the greatest value is; only where `step` is set."""
        assert self.step is not None  # noqa: S101 - see above
        return floor((self.max - self.min) / self.step + 1e-9)


class LogUniform(Model):
    """Any number of a range, each order of magnitude as likely."""

    example: ClassVar[str] = "{min: 0.0001, max: 0.1}"

    min: Positive
    """The least, more than 0."""
    max: Positive
    """The greatest; more than `min`."""

    _ordered = model_validator(mode="after")(_ascending)


class Integer(Model):
    """Any whole number of a range, each as likely."""

    example: ClassVar[str] = "{min: 16, max: 128, step: 16}"

    min: Annotated[int, Field(strict=True)]
    """The least."""
    max: Annotated[int, Field(strict=True)]
    """The greatest; more than `min`."""
    step: Count = 1
    """Only `min` and what is a whole number of steps above it."""

    _ordered = model_validator(mode="after")(_ascending)


Values = Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=1024)]


class Parameter(Model):
    """What one setting may be: exactly one of `uniform`, `logUniform`, `integer`, `choice`, `grid`."""

    example: ClassVar[str] = "{choice: [8, 16, 32]}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, beside=("when",))

    uniform: Uniform | None = None
    """A number of a range."""
    log_uniform: LogUniform | None = None
    """A number of a range over orders of magnitude."""
    integer: Integer | None = None
    """A whole number of a range."""
    choice_of: Annotated[Values | None, Field(alias="choice")] = None
    """One of these, each as likely."""
    grid: Values | None = None
    """Each of these, with each of the other grids: their product is gone through in order."""
    when: dict[str, JsonValue] | None = None
    """Only where these other parameters have these values; else the template's value stays."""

    @property
    def listed(self) -> tuple[JsonValue, ...] | None:
        """The values, where they are written out."""
        return self.grid or self.choice_of

    def extremes(self) -> tuple[JsonValue, ...]:
        """Values that stand for all: every one of a list, both ends of a range."""
        if (values := self.listed) is not None:
            return values
        ends = self.uniform or self.log_uniform or self.integer
        assert ends is not None  # noqa: S101 - exactly one is given
        return ends.min, ends.max


class Random(Model):
    """Each trial is drawn by itself."""

    example: ClassVar[str] = "{}"


class Grid(Model):
    """The product of all parameters, which are all `grid` or `choice`."""

    example: ClassVar[str] = "{}"


class Sampler(StrEnum):
    """Which of Optuna's samplers."""

    TPE = "tpe"
    GP = "gp"


class Optuna(Model):
    """Each trial is chosen by what the ones before have shown."""

    example: ClassVar[str] = "{sampler: tpe, startupTrials: 10}"

    sampler: Sampler = Sampler.TPE
    """`tpe`: a tree-structured Parzen estimator. `gp`: a Gaussian process."""
    startup_trials: Count = 10
    """Trials at random before there is enough to learn from, at least 1."""


class Search(Model):
    """How parameters are chosen: at most one of `random`, `grid`, `optuna`; without any at random."""

    example: ClassVar[str] = "{random: {}}"
    choice: ClassVar[Choice] = Choice(HowMany.AT_MOST_ONE)

    random: Random | None = None
    """At random."""
    grid: Grid | None = None
    """All there are."""
    optuna: Optuna | None = None
    """By a model of what earlier trials have shown."""


class SweepBudget(Model):
    """What the sweep may use; no new trial begins when it is used up, and those that train are halted."""

    example: ClassVar[str] = "{seconds: 3600}"
    choice: ClassVar[Choice] = Choice(HowMany.AT_LEAST_ONE)

    seconds: Positive | None = None
    """Training seconds of all trials, added up."""
    gpu_seconds: Positive | None = None
    """The same times the GPUs of a trial."""


class Slots(Model):
    """What trials run in."""

    example: ClassVar[str] = "{reuse: true}"

    reuse: Flag = True
    """Trials of a slot are forked from one process that has imported torch. false: each begins with a new one."""


class Template(Model):
    """What all trials share."""

    example: ClassVar[str] = '{spec: {trainer: {entrypoint: "train:train", maxEpochs: 10}}}'

    spec: TrainJobSpec
    """A TrainJob's spec; every trial is one."""


class TrainSweepSpec(Model):
    """What is asked for."""

    example: ClassVar[str] = "{template: …, parameters: …, objective: {metric: val_loss}, maxTrials: 24}"

    template: Template
    """The TrainJob that trials are made of."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1, max_length=64)]
    """What differs, by its path below `trainer.config`, or by its whole path behind a slash:
    `/spec.stopping.criteria[0].plateau.patience`."""
    objective: Objective
    """What trials are compared by."""
    max_trials: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    """Trials in all. Needed unless all parameters are grids; then their product is the default."""
    parallel_trials: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    """Slots: trials at the same time. Default: as many as fit the machine, at least 1. In a cluster each slot is
    `numNodes` pods of the template's `resourcesPerNode` and `numProcPerNode`; the default is 1 there."""
    search: Search = Search()
    """How parameters are chosen."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 0
    """Of the search: the same seed proposes the same trials."""
    pruning: Pruning = Pruning()
    """Which trials are stopped because others do better."""
    goal: Number | None = None
    """An objective as good as this completes the sweep."""
    max_failed_trials: Annotated[int, Field(ge=0, strict=True)] | None = None
    """The sweep fails with one more. Default: a tenth of `maxTrials`, at least 3."""
    budget: SweepBudget | None = None
    """What the sweep may use. Unset: no limit but `maxTrials`."""
    keep: Literal["none", "best", "all"] = "best"
    """Whose checkpoints and weights stay when a trial has ended: `best`, that of the best trial so far."""
    slots: Slots = Slots()
    """What trials run in."""
    suspend: Annotated[bool, Field(strict=True)] = False
    """true: every trial writes a checkpoint and the nodes are released. false: start, or go on from there. Means
    nothing on one machine, as the fields below."""
    stop: Stop | None = None
    """Set: stop all trials now and complete. Unset: go on."""
    active_deadline_seconds: Seconds | None = None
    """Seconds of running time, added up over suspensions, after which the sweep fails. Unset: no limit."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] | None = None
    """Seconds from its end until the TrainSweep is deleted with all it owns. Unset: kept. 0: at once."""

    @property
    def trials(self) -> int:
        """Trials in all."""
        return self.max_trials if self.max_trials is not None else self.combinations

    @property
    def combinations(self) -> int:
        """Points of the product of all grids; under `search.grid` of all lists."""
        product = 1
        for parameter in self.parameters.values():
            values = parameter.listed if self.search.grid else parameter.grid
            product *= len(values or (None,))
        return product

    @property
    def failures_borne(self) -> int:
        """As many trials may fail."""
        borne = self.max_failed_trials
        return max(3, self.trials // 10) if borne is None else borne

    def reaches_goal(self, value: float) -> bool:
        """Whether an objective is as good as the goal; never without one, nor for NaN."""
        if self.goal is None:
            return False
        return value >= self.goal if self.objective.mode is Mode.MAX else value <= self.goal

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        refuse(self._faults())
        return self

    def _faults(self) -> Iterator[tuple[Location, Any, str]]:
        nodes = self.template.spec.trainer.num_nodes
        if (self.parallel_trials or 1) * nodes > MOST_PODS:
            needs = f"of {nodes} nodes each are more than {MOST_PODS} pods"
            yield ("parallelTrials",), self.parallel_trials, needs
        ranges = [name for name, parameter in self.parameters.items() if parameter.listed is None]
        free = [name for name, parameter in self.parameters.items() if parameter.grid is None]
        if self.search.grid and ranges:
            yield (
                ("parameters", ranges[0]),
                None,
                "must be a grid or a choice under search.grid: list its values",
            )
        elif self.max_trials is None and free and not self.search.grid:
            yield (
                ("maxTrials",),
                None,
                f"is required: {free[0]} is no grid, so say how many trials",
            )
        for name, parameter in self.parameters.items():
            yield from _name_faults(name)
            yield from _condition_faults(name, parameter, self.parameters)


def _name_faults(name: str) -> Iterator[tuple[Location, Any, str]]:
    at = ("parameters", name)
    if name.startswith("/") and not name.startswith("/spec."):
        yield (
            at,
            None,
            "must begin with /spec. to name a field of the template, such as /spec.trainer.maxEpochs",
        )
    for field in SLOT_FIELDS:
        if name.startswith(f"/spec.trainer.{field}"):
            yield at, None, f"may not be a parameter: a slot has one size; set template.spec.trainer.{field}"


def _condition_faults(
    name: str, parameter: Parameter, all_of_them: Mapping[str, Parameter]
) -> Iterator[tuple[Location, Any, str]]:
    for other, value in (parameter.when or {}).items():
        at = ("parameters", name, "when", other)
        if other not in all_of_them or other == name:
            yield (
                at,
                value,
                f"must name another parameter: {', '.join(n for n in all_of_them if n != name) or 'none'}",
            )
        elif all_of_them[other].when:
            yield at, value, "must name a parameter without `when`: conditions do not nest"
        elif (values := all_of_them[other].listed) is not None and value not in values:
            yield at, value, f"is none of its values, {', '.join(map(str, values))}"


class TrainSweep(Model):
    """Many training jobs of one template, pruned by the criteria that stop one."""

    api_version: Literal["trainjobs.dev/v1alpha1"] = "trainjobs.dev/v1alpha1"
    """Always trainjobs.dev/v1alpha1."""
    kind: Literal["TrainSweep"] = "TrainSweep"
    """Always TrainSweep."""
    metadata: Metadata
    """Name and labels."""
    spec: TrainSweepSpec
    """What is asked for."""
    status: TrainSweepStatus | None = None
    """What has happened so far; written by the operator and the sweep, ignored in a file."""
