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

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, Self

from trainjobs.coordination import Decision
from trainjobs.runtime.data.loaders import to_device, zipped
from trainjobs.runtime.loop.position import Interrupted, LoopPhase, Report, ResumePoint
from trainjobs.runtime.loop.training_loop import TrainingLoop


class StoppingCoordinator:
    """The run that this process trains in, seen from a loop of your own. Get it with `current()`."""

    _loop_of_this_process: TrainingLoop | None = None

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop

    @classmethod
    def bind(cls, loop: TrainingLoop) -> None:
        """Make `current()` answer with this training loop in this process."""
        StoppingCoordinator._loop_of_this_process = loop

    @classmethod
    def current(cls) -> Self:
        """The coordinator of the run this process trains in.

        Raises:
            RuntimeError: this process was not started by trainjobs.
        """
        if StoppingCoordinator._loop_of_this_process is None:
            raise RuntimeError(
                "no training run in this process; start the script as an entrypoint of `trainjobs run`"
            )
        return cls(StoppingCoordinator._loop_of_this_process)

    @classmethod
    def is_bound(cls) -> bool:
        """Whether `current()` has an answer: a run of trainjobs has started this process."""
        return StoppingCoordinator._loop_of_this_process is not None

    @property
    def epoch(self) -> int:
        """Epochs reported so far; where a resumed loop starts to count."""
        self._loop.restore_numbers()
        position = self._loop.state.position
        return position.epoch if position.reported else position.epoch - 1

    @property
    def step(self) -> int:
        """Steps finished since the run began."""
        return self._loop.state.position.step

    @property
    def decision(self) -> Decision | None:
        """What ended the run; None while it goes on."""
        return self._loop.coordinator.decision

    def track(self, **objects: object) -> None:
        """Put objects into checkpoints, and load them now if the run is resumed; see `Run.track`."""
        self._loop.state.tracked.add(objects)

    def steps(self, *loaders: Iterable[Any], accumulate: int = 1, limit: int | None = None) -> Iterator[Any]:
        """The batches of this epoch that are still to train; see `Run.steps`. No `poll` is needed then."""
        loop = self._loop
        if loop.checkpoints.halted:
            return
        self._enter_epoch()
        with closing(loop.steps.batches(zipped(loaders), accumulate, limit)) as batches:
            for batch in batches:
                yield to_device(batch, loop.context.device)

    def poll(self) -> bool:
        """Whether to leave the loop: call it after every step, on every rank. About a microsecond.

        When it is True, every rank has halted at this same step, the checkpoint is written, and with `restoreBest` the
        tracked models have the best weights.
        """
        loop = self._loop
        if loop.checkpoints.halted or loop.steps.in_flight is not None or loop.state.phase is LoopPhase.AFTER:
            return loop.checkpoints.halted
        with suppress(Interrupted):
            if loop.state.phase is not LoopPhase.STEPS:
                self._begin_epoch_of_polls()
            if loop.end_step():
                loop.finish()
        return loop.checkpoints.halted

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
        loop = self._loop
        for name, value in metrics.items():
            loop.meters.add(name, value)
        if loop.finished:
            return loop.evaluation.final()
        with suppress(Interrupted):
            if not loop.checkpoints.halted:
                return self._end_epoch()
            loop.finish()
        return Report({}, loop.coordinator.decision, leave=True)

    def report_amid(self, **metrics: object) -> Report:
        """Report amid an epoch, which goes on after it; else as `report`."""
        loop = self._loop
        for name, value in metrics.items():
            loop.meters.add(name, value)
        with suppress(Interrupted):
            if not loop.checkpoints.halted:
                self._enter_epoch()
                report = loop.evaluation.judge()
                if report.leave:
                    loop.finish()
                return report
        return Report({}, loop.coordinator.decision, leave=True)

    def _enter_epoch(self) -> None:
        loop = self._loop
        loop.checkpoints.flush()
        loop.begin()
        if loop.state.phase is LoopPhase.OUTSIDE:
            loop.enter_epoch()

    def _begin_epoch_of_polls(self) -> None:
        """A loop that goes through a loader of its own begins each epoch with its first batch."""
        self._enter_epoch()
        self._loop.repeat_epoch()
        self._loop.steps.begin()

    def _end_epoch(self) -> Report:
        loop = self._loop
        self._enter_epoch()
        loop.state.end_replay()
        loop.steps.leave()
        loop.state.phase = LoopPhase.AFTER
        report = loop.evaluation.judge()
        point = loop.pass_epoch()
        if report.leave or loop.state.all_trained:
            loop.checkpoints.agree_on_halt()
            loop.checkpoints.checkpoint()
            loop.finish()
            return replace(report, leave=True)
        if loop.checkpoints.agree_on_halt() or loop.checkpoints.is_due(last=False):
            self._checkpoint_before_next_step(point)
        return report

    def _checkpoint_before_next_step(self, point: ResumePoint) -> None:
        """Write it when the weights are about to change, so that it holds what the loop does after its report."""
        loop = self._loop
        optimizers = loop.state.tracked.optimizers()
        buffers = loop.state.tracked.buffers()
        handles = [
            optimizer.register_step_pre_hook(lambda *_: loop.checkpoints.flush()) for optimizer in optimizers
        ]

        def write() -> None:
            for handle in handles:
                handle.remove()
            loop.checkpoints.save(point, loop.state.tracked.states_over(buffers))
            loop.checkpoints.leave_if_interrupted()

        loop.checkpoints.defer(write)
        if not optimizers:
            loop.checkpoints.flush()
