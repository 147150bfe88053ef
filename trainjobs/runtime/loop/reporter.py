"""What a run tells the driver: events, from rank 0 alone."""

import time
from collections.abc import Callable, Mapping

from trainjobs.coordination import Halt
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.contents import Position, Saved
from trainjobs.stopping import Best, Observation, Ruling


class RunReporter:
    """One rank's reporter; that of another rank than 0 sends nothing.

    Args:
        rank: this worker's.
        send: takes an event to the driver, without waiting.
    """

    def __init__(self, rank: int, send: Callable[[events.Event], None]) -> None:
        self._send = send if rank == 0 else _nothing

    def reported(self, observation: Observation, ruling: Ruling, number: int) -> None:
        """A report was judged, the run's `number`-th."""
        self._send(events.Reported.of(observation, ruling, number))

    def checkpointed(self, saved: Saved, position: Position, repeats: int) -> None:
        """A checkpoint is written; `repeats` steps before it are trained again by a resume."""
        self._send(events.Checkpointed(saved.uri, position.epoch, position.step, saved.seconds, repeats))

    def model_saved(self, path: str, position: Position, restored: Best | None) -> None:
        """The final weights are written: those of the best report, or the last ones."""
        of = restored or position
        self._send(events.ModelSaved(path, of.epoch, of.step, best=restored is not None))

    def halted(self, halt: Halt, position: Position, whole: bool | None) -> None:
        """Every rank has halted; `whole` at the end of the run: whether it has come to its length."""
        took = 0.0
        if (decision := halt.decision) is not None:
            took = 1000 * (time.time() - decision.decided_at)
            self._send(events.Decided(decision))
        took = round(took, 3)
        self._send(events.Halted(decision, halt.steps, took, whole, position.epochs, position.amid))

    def final(self, metrics: Mapping[str, float]) -> None:
        """Metrics that were reported after the end."""
        self._send(events.Final(metrics))

    def warn(self, message: str) -> None:
        self._send(events.Warned(message))


def _nothing(_: events.Event) -> None:
    """Only rank 0 reports."""
