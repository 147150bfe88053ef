"""Budget: epochs, steps or seconds are used up."""

from dataclasses import dataclass

from trainjobs.api import stopping as api
from trainjobs.stopping.earliest import Earliest, Pace, place
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict
from trainjobs.stopping.wording import number


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one limit is used."""

    used: float
    limit: float
    unit: str

    @property
    def share(self) -> float:
        return self.used / self.limit

    def __str__(self) -> str:
        return f"{number(self.used)} of {number(self.limit)} {self.unit} are used"


class Budget:
    """Stops when any of the limits is reached. The state is the latest observation.

    What is used counts from the start of the run, also when a gate has kept the criterion from looking.
    """

    def __init__(self, parameters: api.Budget, scope: Scope) -> None:
        self._parameters = parameters
        self._path = scope.path

    def start(self) -> Observation | None:
        return None

    def update(self, state: Observation | None, seen: Observation) -> Observation | None:
        return seen

    def judge(self, state: Observation | None) -> Verdict:
        if state is None:
            return Verdict(False, "nothing has been reported yet", undecided=True)
        nearest = max(self._uses(state), key=lambda use: use.share)
        return Verdict(
            stop=nearest.used >= nearest.limit,
            reason=str(nearest),
            closeness=min(1.0, nearest.share),
            waiting=f"{number(nearest.used)}/{number(nearest.limit)}",
        )

    def stops(self, state: Observation | None) -> bool:
        return self.judge(state).stop

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        """At once, unless its one limit is in the unit of the run's length: any other may be used up soon."""
        name = f"{pace.length.unit}s"
        limits = self._parameters.model_dump(exclude_none=True)
        if not stop or set(limits) != {name}:
            return Earliest(first, self._path)
        return Earliest(max(first, limits[name]), place(self._parameters, self._path, name))

    def _uses(self, seen: Observation) -> list[Use]:
        limits = (
            (seen.epochs, self._parameters.epochs, "epochs"),
            (seen.step, self._parameters.steps, "steps"),
            (seen.seconds, self._parameters.seconds, "seconds"),
        )
        return [Use(used, limit, unit) for used, limit, unit in limits if limit is not None]
