"""What is asked of a run while it trains, and the mailbox for it: by a signal, an edit, or the agent of its pod.

Whoever asks for an end has the vote of rank 0, which reads what is asked: the request is that vote.
"""

from dataclasses import dataclass
from queue import Empty, SimpleQueue

from trainjobs.api import Stopping, TrainJob
from trainjobs.coordination.decision import Outcome, Vote


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Judge by other criteria from now on; the whole history is folded again."""

    stopping: Stopping


Request = Vote | ChangeRequest


def stop_request(reason: str) -> Vote:
    """Halt everywhere at one step, checkpoint, complete."""
    return Vote(0, Outcome.STOP_REQUESTED, reason)


def prune_request(reason: str, criterion: str, metric: str | None = None, value: float | None = None) -> Vote:
    """Halt everywhere at one step, checkpoint, complete: other trials of the sweep do better, by this criterion."""
    return Vote(0, Outcome.PRUNED, reason, criterion, metric, value)


def interrupt_request(reason: str) -> Vote:
    """Halt everywhere at one step, checkpoint, leave; a resume goes on at the next step."""
    return Vote(0, Outcome.INTERRUPTED, reason)


class Control:
    """Requests to a run. Asking never blocks, so signal handlers may; the driver takes them in order."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[Request] = SimpleQueue()

    def ask(self, request: Request) -> None:
        """Add a request."""
        self._requests.put(request)

    def stop(self, reason: str) -> None:
        """Ask for a halt that completes the run."""
        self.ask(stop_request(reason))

    def interrupt(self, reason: str) -> None:
        """Ask for a halt that a resume continues."""
        self.ask(interrupt_request(reason))

    def change(self, stopping: Stopping) -> None:
        """Ask for other criteria."""
        self.ask(ChangeRequest(stopping))

    def take(self, timeout_s: float = 0.0) -> Request | None:
        """The oldest request, waiting up to `timeout_s` seconds for one; None when there is none."""
        try:
            return self._requests.get(block=timeout_s > 0, timeout=timeout_s or None)
        except Empty:
            return None


def asked(old: TrainJob, new: TrainJob) -> Request | None:
    """What the edit from `old` to `new` asks of a run, if anything; of one that is to end, only that."""
    ending = asked_from_the_start(new)
    if ending is not None and ending != asked_from_the_start(old):
        return ending
    return None if new.spec.stopping == old.spec.stopping else ChangeRequest(new.spec.stopping)


def asked_from_the_start(job: TrainJob) -> Vote | None:
    """The end that a manifest asks for by itself."""
    if job.spec.stop is not None:
        return stop_request(job.spec.stop.reason or "spec.stop is set")
    return interrupt_request("spec.suspend is true") if job.spec.suspend else None
