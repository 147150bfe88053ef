"""What criteria across trials judge: one trial among the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trainjobs.api.pruning import Objective
from trainjobs.stopping.across.curve import Curve, shown
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number, other_trials


@dataclass(frozen=True, slots=True)
class Comparison:
    """One trial and all the others, at its last report."""

    trial: str
    """Its name, by which hyperband chooses its bracket."""
    mine: Curve
    others: Mapping[str, Curve]
    objective: Objective
    min_trials: int

    def reached(self, epoch: int) -> list[float]:
        """The standings of the others as of an epoch, best first; of those that have come so far."""
        found = (other.standing_at(epoch) for other in self.others.values())
        return sorted(standing for standing in found if standing is not None)

    def undecided(self, reason: str, waiting: str = "") -> Verdict:
        return Verdict(False, reason, self.objective.metric, undecided=True, waiting=waiting)

    def too_few(self, count: int, epoch: int) -> Verdict:
        """The verdict while there is too little to compare with."""
        reason = f"{count} of {other_trials(self.min_trials)} that a comparison needs came to epoch {epoch}"
        return self.undecided(reason, f"{count}/{self.min_trials} trials")

    def verdict(
        self, stop: bool, standing: float, against: float, reason: str, epoch: int | None = None
    ) -> Verdict:
        """`standing` and `against` as curves hold them; the sentence begins with what the trial stands at.

        `epoch` is when it stood there, if not at its last report.
        """
        mode = self.objective.mode
        at = f"{self.objective.metric} {self.name(standing)} at epoch {epoch or self.mine.epoch}"
        return Verdict(
            stop,
            f"{at} {reason}",
            self.objective.metric,
            shown(standing, mode),
            shown(against, mode),
            closeness=float(stop),
        )

    def name(self, standing: float) -> str:
        """A standing as sentences show it."""
        return number(shown(standing, self.objective.mode))


class Across(Protocol):
    """A criterion across trials, made with its parameters."""

    def __init__(self, parameters: Any) -> None: ...

    def judge(self, seen: Comparison) -> Verdict:
        """What it says of the trial at its last report."""
        ...
