"""What each criterion alone would have done with a history, shadow criteria included."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.stopping.observation import Observation
from trainjobs.stopping.panel import Best, Finding, Panel


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


def replay(panel: Panel, history: Sequence[Observation], max_epochs: int | None = None) -> Replay:
    """Judge a history again, report by report. Raises MissingMetric (shadow criteria do not)."""
    state = panel.fold(())
    stops: dict[int, Stop] = {}
    for seen in history:
        state = panel.fold((seen,), state)
        ruling = panel.judge(state)
        for i, finding in enumerate(ruling.findings):
            if finding.verdict.stop and i not in stops:
                stops[i] = _stop(seen, finding.verdict.reason, ruling.best, history[-1], max_epochs)
    criteria = tuple(
        Alone(finding.name, finding.family, finding.shadow, stops.get(i), finding)
        for i, finding in enumerate(panel.judge(state).findings)
    )
    return Replay(criteria, _first(criteria), state.best, history[-1] if history else None)


def _first(criteria: Sequence[Alone]) -> Alone | None:
    able = [
        (alone.stop.step, alone.stop.epoch, i)
        for i, alone in enumerate(criteria)
        if alone.stop and not alone.shadow
    ]
    return criteria[min(able)[-1]] if able else None


def _stop(at: Observation, reason: str, best: Best | None, end: Observation, max_epochs: int | None) -> Stop:
    saved = Saving(
        end.epoch - at.epoch, end.step - at.step, end.seconds - at.seconds, "HistoryEnd", estimated=False
    )
    return Stop(at.epoch, at.step, at.seconds, reason, best, saved, _of_max(at, max_epochs))


def _of_max(at: Observation, max_epochs: int | None) -> Saving | None:
    if max_epochs is None or at.epoch == 0:
        return None
    epochs = max(0, max_epochs - at.epoch)
    share = epochs / at.epoch
    return Saving(epochs, round(at.step * share), at.seconds * share, "MaxEpochs", estimated=True)
