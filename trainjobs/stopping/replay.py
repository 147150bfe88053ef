"""What each criterion alone would have done with a history, shadow criteria included."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.spec.length import Length
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.panel import Best, Finding, Panel
from trainjobs.stopping.saving import Saving, against_length


@dataclass(frozen=True, slots=True)
class Stop:
    """The first observation at which a criterion would have stopped the run."""

    epoch: int
    step: int
    seconds: float
    reason: str
    best: Best | None
    """Best value of `stopping.monitor` until there."""
    saved: Saving
    """Against the end of the history."""
    saved_of_max: Saving | None
    """Against the run's length, at the pace until the stop; None if that is not known."""
    whole: bool
    """Whether the epoch was over; False for a stop amid its steps."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One criterion as if it were the only one, and no shadow."""

    name: str
    family: str
    shadow: bool
    stop: Stop | None
    """None if it would have let the run go on to the end."""
    last: Finding
    """What it says at the end of the history."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A history judged again."""

    criteria: tuple[Alone, ...]
    """In the manifest's order."""
    stopped_by: Alone | None
    """The criterion, no shadow, that would have stopped the run; when several at once, the first named."""
    best: Best | None
    """Best value of `stopping.monitor` over the whole history."""
    end: Observation | None
    """The last observation; None for an empty history."""


def replay(panel: Panel, history: Sequence[Observation], length: Length | None = None) -> Replay:
    """Judge a history again, report by report. Raises MissingMetric (shadow criteria do not)."""
    state = panel.fold(())
    stops: dict[int, Stop] = {}
    for count, seen in enumerate(history, start=1):
        state = panel.fold((seen,), state)
        ruling = panel.judge(state)
        for i, finding in enumerate(ruling.findings):
            if finding.verdict.stop and i not in stops:
                stops[i] = _stop(history, count, finding.verdict.reason, ruling.best, length)
    criteria = tuple(
        Alone(finding.name, finding.family, finding.shadow, stops.get(i), finding)
        for i, finding in enumerate(panel.judge(state).findings)
    )
    first = next((criteria[i] for i in stops if not criteria[i].shadow), None)
    return Replay(criteria, first, state.best, history[-1] if history else None)


def _stop(
    history: Sequence[Observation], count: int, reason: str, best: Best | None, length: Length | None
) -> Stop:
    """A stop at the report of that number, from 1."""
    at, end = history[count - 1], history[-1]
    saved = Saving(
        end.epochs - at.epochs, end.step - at.step, end.seconds - at.seconds, "HistoryEnd", estimated=False
    )
    of_max = against_length(length, history[:count]) if length else None
    return Stop(at.epoch, at.step, at.seconds, reason, best, saved, of_max, at.whole)
