"""`StoppingCoordinator`: for a training loop that exists already and keeps its shape.

coordinator = StoppingCoordinator.current()
for epoch in range(coordinator.epoch, 100):
    for x, y in loader:
        ...
        if coordinator.poll():
            return
    if coordinator.report(val_loss=(loss_sum, n)):
        break

With `coordinator.steps(loader)` in place of `loader` and without `poll`, a run that halts amid an epoch goes on at the
next batch; else it goes on with the weights it had, and with that epoch's first batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, Self

from trainjobs.coordination import Decision
from trainjobs.runtime.data.loaders import one_of, to_device
from trainjobs.runtime.position import Anew, Interrupted, Phase, Report
from trainjobs.runtime.training_loop import Journey


class StoppingCoordinator:
    """The run that this process trains in, seen from a loop of your own. Get it with `current()`."""

    _journey_of_this_process: Journey | None = None

    def __init__(self, journey: Journey) -> None:
        self._journey = journey

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
        self._journey.restore_numbers()
        position = self._journey.position
        return position.epoch if position.reported else position.epoch - 1

    @property
    def step(self) -> int:
        """Steps finished since the run began."""
        return self._journey.position.step

    @property
    def decision(self) -> Decision | None:
        """What ended the run; None while it goes on."""
        return self._journey.decision

    def track(self, **objects: object) -> None:
        """Put objects into checkpoints, and load them now if the run is resumed; see `Run.track`."""
        self._journey.tracked.add(objects)

    def steps(self, *loaders: Iterable[Any], accumulate: int = 1, limit: int | None = None) -> Iterator[Any]:
        """The batches of this epoch that are still to train; see `Run.steps`. No `poll` is needed then."""
        journey = self._journey
        if journey.rested:
            return
        self._enter_epoch()
        with closing(journey.steps(one_of(loaders), accumulate, limit)) as batches:
            for batch in batches:
                yield to_device(batch, journey.place.device)

    def poll(self) -> bool:
        """Whether to leave the loop: call it after every step, on every rank. About a microsecond.

        When it is True, every rank has halted at this same step, the checkpoint is written, and with `restoreBest` the
        tracked models have the best weights.
        """
        journey = self._journey
        if journey.rested or journey.lent is not None or journey.phase is Phase.AFTER:
            return journey.rested
        with suppress(Interrupted):
            if journey.phase is not Phase.STEPS:
                self._begin_epoch_of_polls()
            if journey.end_step():
                journey.finish()
        return journey.rested

    def report(self, **metrics: object) -> Report:
        """End an epoch: reduce its metrics over ranks, judge them, checkpoint if one is due. All ranks together.

        The checkpoint holds what the loop does after its report too, if an optimizer is tracked: it is written when
        that optimizer is about to step again. After the end of the run the metrics are its final ones, judged by
        nothing.

        Args:
            metrics: (sum, weight) pairs, which are reduced exactly over ranks, or numbers, which are averaged.

        Returns:
            The reduced metrics and the decision; True if the loop is to be left.
        """
        journey = self._journey
        for name, value in metrics.items():
            journey.meters.add(name, value)
        if journey.finished:
            return journey.final()
        with suppress(Interrupted):
            if not journey.rested:
                return self._end_epoch()
            journey.finish()
        return Report({}, journey.decision, leave=True)

    def _enter_epoch(self) -> None:
        journey = self._journey
        journey.flush()
        journey.begin()
        if journey.phase is Phase.OUTSIDE:
            journey.enter_epoch()

    def _begin_epoch_of_polls(self) -> None:
        """A loop that goes through a loader of its own begins each epoch with its first batch."""
        self._enter_epoch()
        self._journey.repeat_epoch()
        self._journey.begin_steps()

    def _end_epoch(self) -> Report:
        journey = self._journey
        self._enter_epoch()
        journey.come_back()
        journey.leave_steps()
        journey.phase = Phase.AFTER
        report = journey.judge()
        place = journey.pass_epoch()
        if report.leave or journey.all_trained:
            journey.rest_if_halted()
            journey.checkpoint()
            journey.finish()
            return replace(report, leave=True)
        if journey.rest_if_halted() or journey.keeper.is_due(place.position, last=False):
            self._checkpoint_before_next_step(place)
        return report

    def _checkpoint_before_next_step(self, place: Anew) -> None:
        """Write it when the weights are about to change, so that it holds what the loop does after its report."""
        journey = self._journey
        optimizers = journey.tracked.optimizers()
        buffers = journey.tracked.buffers()
        handles = [optimizer.register_step_pre_hook(lambda *_: journey.flush()) for optimizer in optimizers]

        def write() -> None:
            for handle in handles:
                handle.remove()
            journey.save(place, journey.tracked.states_over(buffers))
            journey.leave_if_interrupted()

        journey.defer(write)
        if not optimizers:
            journey.flush()
