"""The first epoch after which a criterion could stop a run, if its metric did everything to make it.

Assumes one report after each epoch, which is what a manifest can know.
"""

from trainjobs.spec.base import Model
from trainjobs.spec.stopping import Budget, Member, Plateau, Single, StartAfter


def earliest_epoch(criterion: Single, gate: StartAfter | None = None) -> int:
    """Number of that epoch, from 1. `gate` is the one of a criterion that has none of its own."""
    first = first_open(criterion.start_after or gate)
    inner = sorted(earliest_epoch(member) for _, member in criterion.members())
    if not inner:
        return _earliest_of_family(criterion.parameters, first)
    if isinstance(criterion, Member) and criterion.at_least is not None:
        return max(first, inner[criterion.at_least.count - 1])
    if isinstance(criterion, Member) and criterion.not_ is not None:
        return first
    return max(first, *inner)


def first_open(gate: StartAfter | None) -> int:
    """Number of the first epoch that a gate lets through; 1 where a metric opens it."""
    return 1 if gate is None or gate.epoch is None else gate.epoch + 1


def _earliest_of_family(family: Model, first: int) -> int:
    if isinstance(family, Budget):
        return max(first, family.epochs) if family.epochs and not (family.steps or family.seconds) else first
    patience: int = getattr(family, "patience", 1)
    return first + patience - (0 if isinstance(family, Plateau) else 1)
