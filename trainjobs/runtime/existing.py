"""`StoppingCoordinator`: for a training loop that exists already and keeps its shape.

coordinator = StoppingCoordinator.current()
for epoch in range(coordinator.epoch, 100):
    for x, y in loader:
        ...
        if coordinator.poll():
            return
    coordinator.report(val_loss=(loss_sum, n))
"""

from __future__ import annotations

from contextlib import suppress
from typing import Self

from trainjobs.coordination import Decision
from trainjobs.runtime.journey import Interrupted, Journey


class StoppingCoordinator:
    """The run that this process trains in, seen from a loop of your own. Get it with `current()`."""

    _journey_of_this_process: Journey | None = None

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._begun = False

    @classmethod
    def bind(cls, journey: Journey) -> None:
        """Make `current()` answer with this journey in this process."""
        StoppingCoordinator._journey_of_this_process = journey

    @classmethod
    def current(cls) -> Self:
        """The coordinator of the run this process trains in.

        Raises:
            RuntimeError: this process was not started by trainjobs.
        """
        if StoppingCoordinator._journey_of_this_process is None:
            raise RuntimeError(
                "no training run in this process; start the script as an entrypoint of `trainjobs run`"
            )
        return cls(StoppingCoordinator._journey_of_this_process)

    @property
    def epoch(self) -> int:
        """Epochs reported so far; where a resumed loop starts to count."""
        return self._journey.position.epoch

    @property
    def decision(self) -> Decision | None:
        """What ended the run; None while it goes on."""
        return self._journey.decision

    def track(self, **objects: object) -> None:
        """Put objects into checkpoints, and load them now if the run is resumed; see `Run.track`."""
        self._journey.tracked.add(objects)

    def poll(self) -> bool:
        """Whether to leave the loop: call it after every step, on every rank. About a microsecond.

        When it is True, every rank has halted at this same step and the checkpoint is written.
        """
        journey = self._begin()
        if journey.rested:
            return True
        journey.advance(journey.position.batch + 1, completes_step=True)
        if not journey.coordinator.poll():
            return False
        with suppress(Interrupted):
            journey.halt()
        return True

    def report(self, **metrics: object) -> bool:
        """End an epoch: reduce its metrics over ranks, judge them, checkpoint if one is due. All ranks together.

        Args:
            metrics: (sum, weight) pairs, which are reduced exactly over ranks, or numbers, which are averaged.

        Returns:
            Whether to leave the loop.
        """
        journey = self._begin()
        if journey.rested:
            return True
        for name, value in metrics.items():
            journey.meters.add(name, value)
        journey.enter_epoch()
        journey.judge()
        with suppress(Interrupted):
            journey.end_epoch()
        return journey.is_over()

    def _begin(self) -> Journey:
        if not self._begun:
            self._begun = True
            self._journey.begin()
            self._journey.begin_steps()
        return self._journey
