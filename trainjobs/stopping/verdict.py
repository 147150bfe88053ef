"""What a criterion has to say after an observation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Stop or not, and why."""

    stop: bool
    reason: str
    """A sentence with the numbers, true whether or not it stops."""
    metric: str | None = None
    """The metric judged; None for a criterion that reads none."""
    value: float | None = None
    """Its latest value as judged (smoothed, if so asked); may be NaN or infinite."""
    best: float | None = None
    best_epoch: int | None = None
    closeness: float = 0.0
    """From 0 (far from stopping) to 1 (stops)."""
    waiting: str = ""
    """How far the wait has come, e.g. "3/5"."""
    undecided: bool = False
    """No opinion: nothing seen yet, or a gate is closed. `not` does not turn this into a stop."""
    gated: str | None = None
    """The gate that holds the criterion back, e.g. "startAfter epoch 3"."""
