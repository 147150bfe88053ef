"""Where every rank halts: decided by the coordinator, agreed on by all ranks at one place in the run."""

from trainjobs.coordination import Coordinator, Halt, Outcome, Vote
from trainjobs.runtime.loop.reporter import RunReporter


class HaltAgreement:
    """One rank's side of it."""

    def __init__(self, coordinator: Coordinator, reporter: RunReporter) -> None:
        self._coordinator = coordinator
        self._reporter = reporter
        self._halt: Halt | None = None

    @property
    def halted(self) -> bool:
        """Whether the run has halted, on every rank."""
        return self._halt is not None

    @property
    def is_interrupted(self) -> bool:
        """Whether it has halted to go on later."""
        decision = self._halt.decision if self._halt else None
        return decision is not None and decision.outcome is Outcome.INTERRUPTED

    def agree_on_halt(self, step: int) -> bool:
        """If every rank is to halt here, agree that they did. Called after each collective, by all ranks."""
        if self._coordinator.halted:
            self.conclude(step)
        return self.halted

    def conclude(self, step: int) -> None:
        """The run ends here for every rank: from now on no vote can halt it. Collective."""
        if self._halt is None:
            self._halt = self._coordinator.halt(step)
            self._reporter.halted(self._halt)

    def judge_restored_history(self) -> None:
        """Judge it by today's criteria: a run that had ended does not train again. Collective."""
        ruling = self._coordinator.ruling
        if ruling is not None and ruling.stop is not None:
            self._coordinator.vote(Vote.of_finding(0, ruling.stop))
        self._coordinator.exchange(b"")
