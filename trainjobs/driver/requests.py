"""The mailbox through which the outside asks a run to end or to change."""

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainjobs.api.stopping import Stopping


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Halt everywhere at one step, checkpoint, complete."""

    reason: str


@dataclass(frozen=True, slots=True)
class InterruptRequest:
    """Halt everywhere at one step, checkpoint, leave; a resume goes on at the next step."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Judge by other criteria from now on; the whole history is folded again."""

    stopping: "Stopping"


Request = StopRequest | InterruptRequest | ChangeRequest


class Control:
    """Requests to a run. Asking never blocks, so signal handlers may; the driver takes them in order."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[Request] = SimpleQueue()

    def stop(self, reason: str) -> None:
        """Ask for a halt that completes the run."""
        self._requests.put(StopRequest(reason))

    def interrupt(self, reason: str) -> None:
        """Ask for a halt that a resume continues."""
        self._requests.put(InterruptRequest(reason))

    def change(self, stopping: "Stopping") -> None:
        """Ask for other criteria."""
        self._requests.put(ChangeRequest(stopping))

    def take(self, timeout_s: float = 0.0) -> Request | None:
        """The oldest request, waiting up to `timeout_s` seconds for one; None when there is none."""
        try:
            return self._requests.get(block=timeout_s > 0, timeout=timeout_s or None)
        except Empty:
            return None
