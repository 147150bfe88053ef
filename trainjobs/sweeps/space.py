"""What a trial trains: its parameters, and the TrainJob that they make of the template. Pure functions."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import combinations, product
from math import exp, log
from random import Random
from typing import Any, TypeAlias

from trainjobs.api import TrainJob
from trainjobs.api.base import Location, path_text
from trainjobs.api.manifest import Manifest, Problem, SpecError, parse
from trainjobs.api.manifest.override import location, replaced_at
from trainjobs.api.sweep import SLOT_FIELDS, Parameter, TrainSweep, TrainSweepSpec

Parameters: TypeAlias = Mapping[str, Any]
"""The value of each parameter that a trial has."""


def drawn(spec: TrainSweepSpec, number: int) -> Parameters:
    """The `number`-th trial (from 1) of a random search: each value by seed, number and its own name alone, so that
    a resume, or a sweep with one parameter more, draws the same."""
    point = grid_point(spec, number)
    values = {
        name: point[name] if name in point else draw(parameter, Random(f"{spec.seed}:{number}:{name}"))
        for name, parameter in spec.parameters.items()
    }
    return active(spec, values)


def grid_point(spec: TrainSweepSpec, number: int) -> Parameters:
    """The grids' values in the `number`-th trial; after the last point of their product comes the first again."""
    listed = {
        name: parameter.listed if spec.search.grid else parameter.grid
        for name, parameter in spec.parameters.items()
    }
    axes = {name: values for name, values in listed.items() if values is not None}
    index, point = (number - 1) % spec.combinations, {}
    for name, values in reversed(axes.items()):
        index, place = divmod(index, len(values))
        point[name] = values[place]
    return {name: point[name] for name in axes}


def grid(spec: TrainSweepSpec) -> list[Parameters]:
    """Every point of a grid search once: conditions make some of the product's equal."""
    found: list[Parameters] = []
    names = list(spec.parameters)
    for values in product(*(spec.parameters[name].listed or () for name in names)):
        point = active(spec, dict(zip(names, values, strict=True)))
        if point not in found:
            found.append(point)
    return found


def draw(parameter: Parameter, random: Random) -> Any:
    """One value, from random numbers."""
    if (values := parameter.listed) is not None:
        return values[random.randrange(len(values))]
    if (span := parameter.integer) is not None:
        return random.randrange(span.min, span.max + 1, span.step)
    if (orders := parameter.log_uniform) is not None:
        return min(max(exp(random.uniform(log(orders.min), log(orders.max))), orders.min), orders.max)
    uniform = parameter.uniform
    assert uniform is not None  # noqa: S101 - exactly one is given
    if uniform.step is None:
        return random.uniform(uniform.min, uniform.max)
    return round(uniform.min + uniform.step * random.randint(0, uniform.last_step), 12)


def active(spec: TrainSweepSpec, values: Parameters) -> Parameters:
    """Without those whose condition does not hold."""
    return {
        name: value
        for name, value in values.items()
        if all(values.get(other) == wanted for other, wanted in (spec.parameters[name].when or {}).items())
    }


def trial_job(sweep: TrainSweep, trial: str, parameters: Parameters) -> TrainJob:
    """The TrainJob of a trial. Raises SpecError where a value makes the template impossible."""
    spec = sweep.spec.template.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    document: dict[str, Any] = {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": f"{sweep.metadata.name}-{trial}"},
        "spec": spec,
    }
    for name, value in parameters.items():
        document = replaced_at(document, path_of(name), value)
    return parse(document)


def path_of(name: str) -> str:
    """Where in a TrainJob a parameter is."""
    return name[1:] if name.startswith("/") else f"spec.trainer.config.{name}"


def checked(manifest: Manifest) -> TrainSweep:
    """The TrainSweep of a manifest, its parameters tried in the template. Raises SpecError."""
    sweep = manifest.sweep()
    if found := [manifest.sweep_problem(*fault) for fault in faults(sweep)]:
        raise SpecError(found)
    return sweep


def problems(sweep: TrainSweep) -> list[Problem]:
    """The same faults of one that was read elsewhere."""
    return [Problem(path_text(at), value, message) for at, value, message in faults(sweep)]


Fault: TypeAlias = tuple[Location, Any, str]
"""Where in the TrainSweep, the value, and what is wrong with it."""


def faults(sweep: TrainSweep) -> Iterator[Fault]:
    """What is wrong with values of parameters: each is tried in the template, ranges by both ends."""
    for name, parameter in sweep.spec.parameters.items():
        at = ("spec", "parameters", name)
        for value in parameter.extremes():
            try:
                job = trial_job(sweep, "0001", {name: value})
            except (SpecError, ValueError) as error:
                told = error.problems[0].message if isinstance(error, SpecError) else str(error)
                yield at, value, f"{path_of(name)}: {told}"
                continue
            yield from ((at, value, told) for told in _other_slots(sweep, job))
    yield from _at_one_place(sweep.spec)


def _other_slots(sweep: TrainSweep, trial: TrainJob) -> Iterator[str]:
    template = sweep.spec.template.spec.trainer.model_dump(by_alias=True)
    for field, value in trial.spec.trainer.model_dump(by_alias=True).items():
        if field in SLOT_FIELDS and value != template[field]:
            yield f"may not change {field}: a slot has one size; set template.spec.trainer.{field}"


def _at_one_place(spec: TrainSweepSpec) -> Iterator[Fault]:
    """Of two parameters of one field, or of a field and what is below it, one would be lost."""
    for (one, first), (other, second) in combinations(spec.parameters.items(), 2):
        with suppress(ValueError):  # no path, and told so
            places = zip(location(path_of(one)), location(path_of(other)), strict=False)
            if all(a == b for a, b in places) and not _exclude_each_other(first, second):
                told = (
                    f"sets the same field as {one}: keep one of them, or a `when` that excludes the other's"
                )
                yield ("spec", "parameters", other), None, told


def _exclude_each_other(one: Parameter, other: Parameter) -> bool:
    mine, theirs = one.when or {}, other.when or {}
    return any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys())
