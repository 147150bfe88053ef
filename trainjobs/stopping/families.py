"""From a manifest's criterion to the fold that judges by it.

A field `x_y: Parameters | None` of `spec.stopping.Single` is judged by the class `Parameters` in the module
`trainjobs.stopping.x_y`, made with the parameters and a `Scope`. That is the whole registration of a family.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias, get_args

from trainjobs.api.stopping import Single
from trainjobs.stopping.composition import AtLeast, Not
from trainjobs.stopping.fold import Fold, Scope
from trainjobs.stopping.gates import Delayed

Family: TypeAlias = Callable[[Any, Scope], Fold[Any]]


def _families() -> Mapping[type, Family]:
    parameters = {name: get_args(Single.model_fields[name].annotation)[0] for name in Single.alternatives()}
    modules = {name: import_module(f"trainjobs.stopping.{name}") for name in parameters}
    return {kind: getattr(modules[name], kind.__name__) for name, kind in parameters.items()}


FAMILIES: Mapping[type, Family] = _families()
"""The class that judges, by the type of its parameters."""


def build(criterion: Single, scope: Scope) -> Fold[Any]:
    """The fold of a criterion with its own gate, whose place in the manifest is the scope's path."""
    members = tuple(build(member, scope.at(place)) for place, member in criterion.members())
    fold = _composition(criterion, members) if members else _family(criterion, scope)
    if criterion.start_after is None:
        return fold
    return Delayed(fold, criterion.start_after, scope.at(("startAfter",)).path, scope.unit)


def _family(criterion: Single, scope: Scope) -> Fold[Any]:
    return FAMILIES[type(criterion.parameters)](criterion.parameters, scope.at((criterion.key,)))


def _composition(criterion: Single, members: tuple[Fold[Any], ...]) -> Fold[Any]:
    match criterion.key:
        case "not":
            return Not(members[0])
        case "atLeast":
            return AtLeast(criterion.parameters.count, members)
        case _:
            return AtLeast(len(members), members)
