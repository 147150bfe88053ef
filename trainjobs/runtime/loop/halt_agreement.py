"""Where every rank halts: decided by the coordinator, agreed on by all ranks at one place in the run."""

import time

from trainjobs.coordination import Coordinator, Halt, Vote
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.contents import Position


class HaltAgreement:
    """One rank's side of it.

    Args:
        coordinator: decides.
        tell: takes rank 0's events to the driver; of other ranks, nothing.
    """

    def __init__(self, coordinator: Coordinator, tell: events.Tell) -> None:
        self._coordinator = coordinator
        self._tell = tell
        self._halt: Halt | None = None

    @property
    def halted(self) -> bool:
        """Whether the run has halted, on every rank."""
        return self._halt is not None

    @property
    def unwinds(self) -> bool:
        """Whether it has halted, and the training function is to be left there."""
        decision = self._halt.decision if self._halt else None
        return decision is not None and decision.unwinds

    def agree_on_halt(self, position: Position) -> bool:
        """If every rank is to halt here, agree that they did. Called after each collective, by all ranks."""
        if self._coordinator.halted:
            self.conclude(position)
        return self.halted

    def conclude(self, position: Position, whole: bool | None = None) -> None:
        """The run ends here for every rank: from now on no vote can halt it. Collective.

        Args:
            position: where.
            whole: whether the run has come to its length; None where it is halted before its end.
        """
        if self._halt is None:
            self._halt = self._coordinator.halt(position.step)
            self._tell_halt(self._halt, position, whole)

    def _tell_halt(self, halt: Halt, position: Position, whole: bool | None) -> None:
        took_ms = 0.0
        if (decision := halt.decision) is not None:
            took_ms = round(1000 * (time.time() - decision.decided_at), 3)
            self._tell(events.Decided(decision))
        self._tell(events.Halted(decision, halt.steps, took_ms, whole, position.epochs, position.amid))

    def judge_restored_history(self) -> None:
        """Judge it by today's criteria: a run that had ended does not train again. Collective."""
        ruling = self._coordinator.ruling
        if ruling is not None and ruling.stop is not None:
            self._coordinator.vote(Vote.of_finding(0, ruling.stop))
        self._coordinator.exchange(b"")
