"""What a stop leaves untrained."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.api.length import Length, Unit
from trainjobs.stopping.observation import Observation


@dataclass(frozen=True, slots=True)
class Saving:
    """What a stop leaves unspent. Against the length that a manifest asks for, seconds are estimates."""

    epochs: int
    """Epochs that were not finished; against MaxSteps 0."""
    steps: int
    """Steps that were not trained; against MaxEpochs an estimate, 0 while no epoch is finished."""
    seconds: float
    """Training seconds; 0 while nothing is finished that would tell the pace."""
    baseline: str
    """What it is measured against: "HistoryEnd", "MaxEpochs" or "MaxSteps"."""
    estimated: bool


def against_end(end: Observation, at: Observation) -> Saving:
    """What a run that has gone on to `end` would have saved by ending before, at `at`."""
    return Saving(
        end.epochs - at.epochs, end.step - at.step, end.seconds - at.seconds, "HistoryEnd", estimated=False
    )


def against_length(length: Length, history: Sequence[Observation], step: int = 0, epochs: int = 0) -> Saving:
    """What a run that ended with this history saves of its length; see `against_length_at`."""
    whole = next((seen for seen in reversed(history) if seen.whole), None)
    return against_length_at(length, history[-1] if history else None, whole, step, epochs)


def against_length_at(
    length: Length, last: Observation | None, whole: Observation | None, step: int = 0, epochs: int = 0
) -> Saving:
    """What a run that ended there saves of its length, at the pace until there.

    Args:
        length: what would have been trained.
        last: the last report.
        whole: the last one whose epoch was over, which tells the pace.
        step: steps finished at the end, where some came after the last report.
        epochs: epochs finished at the end, likewise.
    """
    last = last or Observation(0, 0, 0.0, {})
    step = max(step, last.step)
    if length.unit is Unit.STEP:
        steps = max(0, length.amount - step)
        seconds = last.seconds / last.step * steps if last.step else 0.0
        return Saving(0, steps, seconds, length.baseline, estimated=True)
    left = max(0, length.amount - max(epochs, last.epochs))
    if whole is None or not left:
        return Saving(left, 0, 0.0, length.baseline, estimated=True)
    steps = round(whole.step / whole.epochs * length.amount) - step
    since = (step - last.step) * whole.seconds / whole.step if whole.step else 0.0
    seconds = whole.seconds / whole.epochs * length.amount - last.seconds - since
    return Saving(left, max(0, steps), max(0.0, seconds), length.baseline, estimated=True)
