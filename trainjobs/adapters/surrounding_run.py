"""The run that `trainjobs run` has started in this process: its manifest judges, its driver keeps the record."""

from __future__ import annotations

from collections.abc import Mapping

from trainjobs.adapters.judged_run import Judgement, Place
from trainjobs.coordination import Decision
from trainjobs.runtime import StoppingCoordinator


class SurroundingRun:
    """See `JudgedRun`. Epochs and steps are those of the run."""

    def __init__(self, coordinator: StoppingCoordinator) -> None:
        self._coordinator = coordinator

    @property
    def decision(self) -> Decision | None:
        return self._coordinator.decision

    def poll(self, at: Place) -> bool:
        return self._coordinator.poll()

    def report(self, at: Place, metrics: Mapping[str, float]) -> Judgement:
        means = {name: (value, 1.0) for name, value in metrics.items()}
        reported = self._coordinator.report(**means) if at.whole else self._coordinator.report_amid(**means)
        return Judgement(bool(reported), reported.best, reported.metrics)

    def end(self, at: Place) -> None:
        """The run ends with the training function."""

    def fail(self, error: BaseException) -> None:
        """The run hears of it when the training function raises."""
