"""The earliest moment at which a criterion could stop a run, if its metric did everything to make it.

Counted in the unit of the run's length. In epochs it assumes one report after each, which is what a manifest can know;
a run of one epoch, or of so many steps, has its reports where nobody can know, so there a report takes no time.
"""

from trainjobs.api.length import Length, Unit
from trainjobs.api.stopping import Budget, Member, Single, StartAfter, Watched


def earliest(criterion: Single, gate: StartAfter | None, length: Length) -> int:
    """Finished epochs or steps then. `gate` is the one of a criterion that has none of its own."""
    gate = criterion.start_after or gate
    first = first_seen(gate, length)
    inner = sorted(earliest(member, None, length) for _, member in criterion.members())
    if not inner:
        return _earliest_of_family(criterion.parameters, first, gate, length)
    if isinstance(criterion, Member) and criterion.at_least is not None:
        return max(first, inner[criterion.at_least.count - 1])
    if isinstance(criterion, Member) and criterion.not_ is not None:
        return first
    return max(first, *inner)


def first_seen(gate: StartAfter | None, length: Length) -> int:
    """Finished epochs or steps at the first report that a gate lets through; a metric may open it at once."""
    closed = length.named(gate.epoch, gate.step) if gate else None
    if length.unit is Unit.STEP:
        return 0 if closed is None else closed + 1
    return (closed or 0) + by_report(length)


def by_report(length: Length) -> int:
    """Epochs from one report to the next, as far as a manifest knows."""
    return int(length.unit is Unit.EPOCH and length.amount > 1)


def _earliest_of_family(family: object, first: int, gate: StartAfter | None, length: Length) -> int:
    if isinstance(family, Budget):
        return _earliest_of_budget(family, first, gate, length)
    reports = family.fewest_reports if isinstance(family, Watched) else 1
    return first + (reports - 1) * by_report(length)


def _earliest_of_budget(budget: Budget, first: int, gate: StartAfter | None, length: Length) -> int:
    """Steps and seconds can be used up between two reports, and then nothing waits for the next one."""
    limit, other = length.named((budget.epochs, budget.steps), (budget.steps, budget.epochs))
    if budget.seconds is None and other is None:
        return max(first, limit or 0)
    between_reports = gate is None and (budget.steps or budget.seconds)
    return 0 if between_reports else first
