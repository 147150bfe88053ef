"""The earliest moment at which a criterion could stop a run, if its metrics did all they can to make it.

Moments are counted in the unit of the run's length: finished epochs or steps. Metrics are finite here: a NaN may stop a
run at any report (`nonFinite`), and no parameter waits for one. Only the criterion that looks for NaN may see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.api.base import Model
from trainjobs.api.length import Length, Unit
from trainjobs.api.monitoring import StartAfter


@dataclass(frozen=True, slots=True)
class Pace:
    """When a run reports, as far as a manifest tells.

    In epochs it is after each of them. A run of one epoch, or of so many steps, has its reports where nobody can know:
    so there a report takes no time, and a moment is one that is certainly not too late.
    """

    length: Length

    @property
    def between(self) -> int:
        """From one report to the next."""
        return int(self.length.unit is Unit.EPOCH and self.length.amount > 1)

    @property
    def first(self) -> int:
        """The first report."""
        return self.between

    def opens(self, gate: StartAfter) -> int:
        """The first report that a gate lets through; a metric may open it at once."""
        closed = self.length.named(gate.epoch, gate.step)
        if closed is None:
            return self.first
        return closed + (1 if self.length.unit is Unit.STEP else self.between)


@dataclass(frozen=True, slots=True)
class Earliest:
    """A moment, and what it is so late for."""

    moment: int
    cause: str
    """Place in the manifest of what waits longest, e.g. "spec.stopping.criteria[0].plateau.patience"."""
    fixed: bool = False
    """Whether the criterion needs so long whatever its parameters are."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a criterion must have read before it can stop a run."""

    reports: int
    parameter: str | None = None
    """Name of the parameter that asks for so many; None: none does."""


def after_reports(needs: Needs, first: int, pace: Pace, parameters: Model, path: str) -> Earliest:
    """The report at which so many are read, the first of them at `first`; `path` is the criterion's."""
    moment = first + (needs.reports - 1) * pace.between
    return Earliest(moment, place(parameters, path, needs.parameter), needs.parameter is None)


def place(parameters: Model, path: str, name: str | None) -> str:
    """Where a parameter is set in the manifest; the criterion itself if it has its default."""
    if name is None or name not in parameters.model_fields_set:
        return path
    return f"{path}.{type(parameters).model_fields[name].alias}"


def nth(members: Sequence[Earliest], n: int) -> Earliest:
    """The moment at which `n` of them are reached."""
    return sorted(members, key=lambda member: member.moment)[n - 1]
