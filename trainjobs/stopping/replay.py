"""What each criterion alone would have done with a history, shadow criteria included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainjobs.stopping.observation import Observation
from trainjobs.stopping.panel import Best, Finding, Panel
from trainjobs.stopping.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Saving:
    """What a stop would have left unspent. Against `maxEpochs` steps and seconds are estimates."""

    epochs: int
    steps: int
    seconds: float
    baseline: str
    """What it is measured against: "HistoryEnd" or "MaxEpochs"."""
    estimated: bool


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
    """Against `maxEpochs`, at the pace until the stop; None if that number is not known."""
    metric: str | None = None
    """The metric it judged there; None for one that judges none, such as a budget."""
    value: float | None = None


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
    reports: int = 0
    """Observations judged."""


@dataclass(frozen=True, slots=True)
class _Stopped:
    """Where a criterion first said stop."""

    at: Observation
    verdict: Verdict
    best: Best | None


def replay(panel: Panel, history: Iterable[Observation], max_epochs: int | None = None) -> Replay:
    """Judge a history again, report by report. Raises MissingMetric (shadow criteria do not)."""
    state, end = panel.fold(()), None
    stopped: dict[int, _Stopped] = {}
    for end in history:
        state = panel.fold((end,), state)
        for i, judge in enumerate(panel.judges):
            if i not in stopped and judge.fold.stops(state.states[i]):
                stopped[i] = _Stopped(end, judge.fold.judge(state.states[i]), state.best)
    criteria = tuple(
        Alone(
            finding.name,
            finding.family,
            finding.shadow,
            _stop(stopped[i], end, max_epochs) if end and i in stopped else None,
            finding,
        )
        for i, finding in enumerate(panel.judge(state).findings)
    )
    return Replay(criteria, _first(criteria), state.best, end, state.reports)


def _first(criteria: Sequence[Alone]) -> Alone | None:
    able = [
        (alone.stop.step, alone.stop.epoch, i)
        for i, alone in enumerate(criteria)
        if alone.stop and not alone.shadow
    ]
    return criteria[min(able)[-1]] if able else None


def _stop(stopped: _Stopped, end: Observation, max_epochs: int | None) -> Stop:
    at, verdict = stopped.at, stopped.verdict
    saved = Saving(
        end.epoch - at.epoch, end.step - at.step, end.seconds - at.seconds, "HistoryEnd", estimated=False
    )
    return Stop(
        *(at.epoch, at.step, at.seconds, verdict.reason, stopped.best, saved, _of_max(at, max_epochs)),
        *(verdict.metric, verdict.value),
    )


def _of_max(at: Observation, max_epochs: int | None) -> Saving | None:
    if max_epochs is None or at.epoch == 0:
        return None
    epochs = max(0, max_epochs - at.epoch)
    share = epochs / at.epoch
    return Saving(epochs, round(at.step * share), at.seconds * share, "MaxEpochs", estimated=True)
