"""What is asked of a run while it trains: by a signal, an edit of its manifest, or the agent of its pod."""

from dataclasses import dataclass

from trainjobs.api import Stopping


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Halt everywhere at one step, checkpoint, complete."""

    reason: str


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Halt everywhere at one step, checkpoint, complete: other trials of the sweep do better."""

    reason: str
    criterion: str
    """What prunes it."""
    metric: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class InterruptRequest:
    """Halt everywhere at one step, checkpoint, leave; a resume goes on at the next step."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Judge by other criteria from now on; the whole history is folded again."""

    stopping: Stopping


Request = StopRequest | PruneRequest | InterruptRequest | ChangeRequest
