"""What a Kubernetes API server checks by expression (CEL): the rules between fields, in the words of the types.

The types' own validators say the same to whoever reads a file, and add what they found; a test compares both,
sentence by sentence.
What no expression can say in reasonable space is left out here, and the operator reports it: defaults of names
that collide, the parameters of families inside a composition, and all inside a criterion that is two compositions deep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from trainjobs.api.base import Form, HowMany, Model
from trainjobs.api.change import MUTABLE
from trainjobs.api.fields import models_in
from trainjobs.api.metadata import Metadata
from trainjobs.api.monitoring import StartAfter, Watched
from trainjobs.api.stopping import AtLeast, Criterion, Member, Single, Stopping
from trainjobs.api.sweep import Parameter, TrainSweep, TrainSweepSpec
from trainjobs.api.trainjob import MOST_PODS, Trainer, TrainJob, TrainJobSpec


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `x-kubernetes-validations`."""

    rule: str
    """Expression that holds for what is valid."""
    message: str
    """What to say of the rest. The API server adds the value."""
    path: str = ""
    """Field to blame, from here, as ".stopping.minEpochs"; empty: the whole."""

    def as_json(self) -> dict[str, str]:
        """The entry of the schema."""
        return {
            "rule": self.rule,
            "message": self.message,
            **({"fieldPath": self.path} if self.path else {}),
        }


def rules_of(model: type[BaseModel]) -> list[Rule]:
    """The rules of one type, not of the types inside it."""
    return [rule for owner, make in _RULES if issubclass(model, owner) for rule in make(model)]


def rule_of_form(form: Form) -> Rule:
    """Text that has one form: an expression, for a `pattern` would show the person a regular expression."""
    return Rule(f"self.matches(r'^({form.pattern})$')", f"must be {form.rule}")


def _choice(model: type[BaseModel]) -> list[Rule]:
    if not issubclass(model, Model) or model.choice is None or model is Parameter:
        return []
    names = _written(model, model.alternatives())
    return [Rule(_COUNTED[model.choice.many](names), f"must name {model.choice.many} of {', '.join(names)}")]


def _one_of(names: list[str]) -> str:
    return f"[{', '.join(f'has(self.{name})' for name in names)}].exists_one(given, given)"


def _some_of(names: list[str]) -> str:
    return " || ".join(f"has(self.{name})" for name in names)


def _one_of_at_most(names: list[str]) -> str:
    return f"[{', '.join(f'has(self.{name})' for name in names)}].filter(given, given).size() <= 1"


_COUNTED: Final = {
    HowMany.EXACTLY_ONE: _one_of,
    HowMany.AT_LEAST_ONE: _some_of,
    HowMany.AT_MOST_ONE: _one_of_at_most,
}


def _start_after(_: type[BaseModel]) -> list[Rule]:
    return [
        Rule(
            f"!has(self.metric) || {_one_of(['below', 'above'])}",
            "metric: must name exactly one of below, above",
        ),
        Rule("has(self.metric) || !has(self.below)", "below: goes with metric only"),
        Rule("has(self.metric) || !has(self.above) || has(self.below)", "above: goes with metric only"),
    ]


def _at_least(_: type[BaseModel]) -> list[Rule]:
    return [Rule("self.count <= self.of.size()", "count must be at most the number of members")]


def _stopping(_: type[BaseModel]) -> list[Rule]:
    return [
        Rule(
            f"has(self.monitor) || !has(self.criteria) || self.criteria.all(c, {_all_named(Criterion, 'c')})",
            "must name a metric, here or in stopping.monitor",
            path=".criteria",
        ),
        Rule(
            "has(self.monitor) || !has(self.restoreBest) || !self.restoreBest",
            "must name the metric whose best model restoreBest restores",
            path=".monitor",
        ),
        Rule(
            "!has(self.criteria) || self.criteria.all(c, !has(c.name) || "
            "self.criteria.exists_one(d, has(d.name) && d.name == c.name))",
            "must be unique",
            path=".criteria",
        ),
    ]


def _all_named(model: type[Single], at: str) -> str:
    """An expression: every criterion at `at`, or one composition below it, that reads a metric names it."""
    parts = [f"(!has({at}.{name}) || has({at}.{name}.monitor))" for name in _watching()]
    if model is Criterion:
        inner = _all_named(Member, "m")
        parts += [
            f"(!has({at}.all) || {at}.all.all(m, {inner}))",
            f"(!has({at}.atLeast) || {at}.atLeast.of.all(m, {inner}))",
            f"(!has({at}.not) || {_all_named(Member, f'{at}.not')})",
        ]
    return " && ".join(parts)


def _watching() -> list[str]:
    """Names of the families that read a metric."""
    return [
        field.alias or name
        for name, field in Single.model_fields.items()
        if any(issubclass(part, Watched) for part in models_in(field.annotation))
    ]


def _trainer(_: type[BaseModel]) -> list[Rule]:
    limits = "self.resourcesPerNode.limits"
    gpus = f"{limits}.filter(n, n.endsWith('/gpu') && string({limits}[n]).matches(r'^[0-9]+$'))"
    gpus += f".map(n, int(string({limits}[n]))).sum()"
    return [
        Rule(
            "!has(self.resourcesPerNode) || !has(self.resourcesPerNode.limits) || "
            f"[{gpus}].all(g, g == 0 || self.numProcPerNode <= g)",
            "must be at most the GPUs of a node in resourcesPerNode.limits",
            path=".numProcPerNode",
        ),
    ]


def _spec(_: type[BaseModel]) -> list[Rule]:
    return [
        Rule(
            f"!has(self.stopping.min{unit}) || !has(self.trainer.max{unit}) || "
            f"self.stopping.min{unit} <= self.trainer.max{unit}",
            f"must be at most trainer.max{unit}",
            path=f".stopping.min{unit}",
        )
        for unit in ("Epochs", "Steps")
    ]


def _trainjob(_: type[BaseModel]) -> list[Rule]:
    fixed = [name for name in _written(TrainJobSpec) if name not in MUTABLE]
    return [_name_of_the_job(), *(_kept_after_start(name, "TrainJob") for name in fixed)]


def _trainsweep(_: type[BaseModel]) -> list[Rule]:
    fixed = [name for name in _written(TrainSweepSpec) if name not in MUTABLE]
    return [_name_of_the_job(), *(_kept_after_start(name, "TrainSweep") for name in fixed)]


def _trainsweep_spec(_: type[BaseModel]) -> list[Rule]:
    slots = "(has(self.parallelTrials) ? self.parallelTrials : 1)"
    return [
        Rule(
            f"{slots} * self.template.spec.trainer.numNodes <= {MOST_PODS}",
            f"must be at most {MOST_PODS} pods in all: parallelTrials times template.spec.trainer.numNodes",
            path=".parallelTrials",
        )
    ]


def _name_of_the_job() -> Rule:
    """A CRD's schema may say of metadata nothing but this."""
    (form,) = (part for part in Metadata.model_fields["name"].metadata if isinstance(part, Form))
    in_form = rule_of_form(form)
    return Rule(in_form.rule.replace("self.", "self.metadata.name."), in_form.message, path=".metadata.name")


def _kept_after_start(name: str, kind: str) -> Rule:
    new, old = f"self.spec.{name}", f"oldSelf.spec.{name}"
    return Rule(
        "!has(oldSelf.status) || !has(oldSelf.status.startTime) || "
        f"(has({new}) ? has({old}) && {new} == {old} : !has({old}))",
        f"cannot change after the start: make a new {kind}",
        path=f".spec.{name}",
    )


def _written(model: type[BaseModel], names: tuple[str, ...] | None = None) -> list[str]:
    fields = model.model_fields
    return [fields[name].alias or name for name in names or tuple(fields)]


_RULES: Final[tuple[tuple[type[BaseModel], Callable[[type[BaseModel]], list[Rule]]], ...]] = (
    (Model, _choice),
    (StartAfter, _start_after),
    (AtLeast, _at_least),
    (Stopping, _stopping),
    (Trainer, _trainer),
    (TrainJobSpec, _spec),
    (TrainJob, _trainjob),
    (TrainSweepSpec, _trainsweep_spec),
    (TrainSweep, _trainsweep),
)
