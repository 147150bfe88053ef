"""What each criterion alone would have done with a history, shadow criteria included."""

from collections.abc import Iterable
from dataclasses import dataclass

from trainjobs.api.length import Length
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.panel import Best, Finding, Panel
from trainjobs.stopping.saving import Saving, against_end, against_length_at
from trainjobs.stopping.verdict import Verdict


@dataclass(frozen=True, slots=True)
class StopPoint:
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
    metric: str | None = None
    """The metric it judged there; None for one that judges none, such as a budget."""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Alone:
    """One criterion as if it were the only one, and no shadow."""

    name: str
    family: str
    shadow: bool
    stop: StopPoint | None
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
    reports: int = 0
    """Observations judged."""


@dataclass(frozen=True, slots=True)
class _Stopped:
    """Where a criterion first said stop."""

    at: Observation
    whole: Observation | None
    """The last report until there whose epoch was over."""
    verdict: Verdict
    best: Best | None


def replay(panel: Panel, history: Iterable[Observation], length: Length | None = None) -> Replay:
    """Judge a history again, report by report. Raises MissingMetric (shadow criteria do not)."""
    state, end, whole = panel.fold(()), None, None
    stopped: dict[int, _Stopped] = {}
    for end in history:
        state = panel.fold((end,), state)
        whole = end if end.whole else whole
        for i, judge in enumerate(panel.judges):
            if i not in stopped and judge.fold.stops(state.states[i]):
                stopped[i] = _Stopped(end, whole, judge.fold.judge(state.states[i]), state.best)
    criteria = tuple(
        Alone(
            finding.name,
            finding.family,
            finding.shadow,
            _stop(stopped[i], end, length) if end and i in stopped else None,
            finding,
        )
        for i, finding in enumerate(panel.judge(state).findings)
    )
    first = next((criteria[i] for i in stopped if not criteria[i].shadow), None)
    return Replay(criteria, first, state.best, end, state.reports)


def _stop(stopped: _Stopped, end: Observation, length: Length | None) -> StopPoint:
    at, verdict = stopped.at, stopped.verdict
    saved = against_end(end, at)
    of_max = against_length_at(length, at, stopped.whole) if length else None
    return StopPoint(
        *(at.epoch, at.step, at.seconds, verdict.reason, stopped.best, saved, of_max, at.whole),
        *(verdict.metric, verdict.value),
    )
