"""The mailbox through which the outside asks a run to end or to change, and what an edit of its manifest asks."""

from queue import Empty, SimpleQueue

from trainjobs.api import Stopping, TrainJob
from trainjobs.runs.requests import ChangeRequest, InterruptRequest, Request, StopRequest


class Control:
    """Requests to a run. Asking never blocks, so signal handlers may; the driver takes them in order."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[Request] = SimpleQueue()

    def ask(self, request: Request) -> None:
        """Add a request."""
        self._requests.put(request)

    def stop(self, reason: str) -> None:
        """Ask for a halt that completes the run."""
        self.ask(StopRequest(reason))

    def interrupt(self, reason: str) -> None:
        """Ask for a halt that a resume continues."""
        self.ask(InterruptRequest(reason))

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


def asked_from_the_start(job: TrainJob) -> StopRequest | InterruptRequest | None:
    """The end that a manifest asks for by itself."""
    if job.spec.stop is not None:
        return StopRequest(job.spec.stop.reason or "spec.stop is set")
    return InterruptRequest("spec.suspend is true") if job.spec.suspend else None
