"""One worker's training loop: its beginning, its epochs, its end.

`Run` and `StoppingCoordinator` are two ways to drive it. All ranks go through it together: every method marked
collective is called by all of them at the same place. Where it is, is in `training_state.py`; what an epoch consists
of, in `step_loop.py` and `evaluation.py`; where it halts and what is saved there, in `loop_checkpoints.py`.
"""

from dataclasses import replace

from trainjobs.api import TrainJobSpec, Unit
from trainjobs.coordination import Coordinator
from trainjobs.exits import ConfigError
from trainjobs.runs import events
from trainjobs.runtime.loop.evaluation import Evaluation
from trainjobs.runtime.loop.halt_agreement import HaltAgreement
from trainjobs.runtime.loop.kept_weights import KeptWeights
from trainjobs.runtime.loop.loop_checkpoints import LoopCheckpoints
from trainjobs.runtime.loop.position import LoopPhase, ResumePoint, WorkerContext
from trainjobs.runtime.loop.start_clock import StartClock
from trainjobs.runtime.loop.step_loop import StepLoop
from trainjobs.runtime.loop.training_state import TrainingState
from trainjobs.runtime.meters import Meters
from trainjobs.runtime.models.gradient_statistics import GradientStatistics


class TrainingLoop:
    """One worker's loop.

    Args:
        context: which worker this is.
        spec: the run's length, the metrics that its criteria read, and when it writes checkpoints.
        coordinator: decides when to stop, and carries the collectives.
        kept: has the checkpoint to resume from.
        halts: where all ranks halt.
        tell: takes rank 0's events to the driver; of other ranks, nothing.
        start: this attempt's.
    """

    def __init__(
        self,
        context: WorkerContext,
        spec: TrainJobSpec,
        coordinator: Coordinator,
        kept: KeptWeights,
        halts: HaltAgreement,
        tell: events.Tell,
        start: StartClock,
    ) -> None:
        self.context = context
        self.length = spec.trainer.length
        self.coordinator = coordinator
        self.kept = kept
        judged = spec.stopping.metrics
        self.gradients = GradientStatistics(
            judged, context.world_size, lambda: self.state.tracked.loss_scale, lambda: self.steps.last_of_step
        )
        self.state = TrainingState(
            context, self.length, coordinator, kept.restored, kept.source, start, self.gradients
        )
        self.checkpoints = LoopCheckpoints(self.state, spec.checkpoint, kept, halts, tell)
        self.steps = StepLoop(self.state, self.checkpoints, kept)
        self.evaluation = Evaluation(
            self.state, self.steps, self.checkpoints, kept, tell, judged, self.gradients
        )
        self.finished = False
        self.epoch_loop: object = None
        """Which loop over epochs the function is in; others before it were left."""
        self._halts = halts
        self._tell = tell
        self._begun = False
        self._left = False
        self._silence_told = False

    @property
    def meters(self) -> Meters:
        """What a metric that is logged now belongs to: the next report, or what is told after the loop over epochs."""
        return self.evaluation.after_end if self._left or self.finished else self.state.meters

    # --- the run ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Continue where the checkpoint was taken: generators, logged sums, verdict on the history. Collective."""
        if self._begun:
            self._return_to_epochs()
            return
        self._begun = True
        self.state.tracked.check_complete()
        if self.state.tracked.lacks_weights:
            self._warn(
                "weights that run.prepare_model was given are not tracked, so no checkpoint and no model.pt will hold "
                "them; call run.track(model=model) before the loop"
            )
        if self.kept.restored is not None:
            self.state.restore(self.kept.restored.ranks[self.context.rank])
            self._halts.judge_restored_history()
            self.kept.restored = None  # every state is loaded, and this one held memory
        self.coordinator.pause()
        self.state.start_clock()

    def begin_epochs(self) -> object:
        """Begin a loop over epochs; one before that was not closed has been left. Collective."""
        if self.state.phase is not LoopPhase.OUTSIDE:
            self.leave_epochs()
        self.epoch_loop = object()
        self._undo_writes_since_track()
        self.begin()
        return self.epoch_loop

    def restore_numbers(self) -> None:
        """Go on with the checkpoint's numbers, settings and sums: here, where a loop is about to begin."""
        if self.kept.restored is not None:
            self.state.tracked.undo_light_since_loaded()
            self.state.restore_numbers(self.kept.restored.ranks[self.context.rank])

    def _undo_writes_since_track(self) -> None:
        """What the function did to tracked objects before its loop, a resumed run has in its checkpoint already."""
        if self.kept.restored is not None:
            if not self.state.tracked.unchanged_since_loaded:
                self.state.tracked.reload(self.kept.states_restored())
            self.state.tracked.undo_light_since_loaded()

    def is_over(self) -> bool:
        """Whether everything is trained or the run has halted. Collective."""
        trained = self.state.position.reported and self.state.all_trained
        return trained or self.checkpoints.agree_on_halt()

    def finish(self) -> None:
        """End the run: no decision can come any more, the best weights are restored, the model is kept. Collective."""
        if self.finished:
            return
        self.checkpoints.flush()
        if self._left and not self.checkpoints.halted:
            self.checkpoints.end_left_epoch()
        self._halts.conclude(self.state.position, self.state.all_trained)
        self.checkpoints.leave_if_interrupted()
        self.steps.share_buffers()
        models = self.state.tracked.models()
        best = self.kept.restore_best(models)
        self.kept.save_model(models, self.state.position, best)
        self.finished = True

    # --- its epochs ---------------------------------------------------------------------------------------------------

    def enter_epoch(self) -> None:
        """Go on with the epoch the checkpoint lies in, or with the next."""
        self.steps.total = None
        self.state.enter_epoch()

    def leave_epochs(self) -> None:
        """The function has broken out of the loop. Not collective: it may be unwinding."""
        self.steps.leave()
        self.state.phase, self._left = LoopPhase.OUTSIDE, True

    def begin_evaluation(self) -> None:
        """Batches for evaluation are asked for. Outside of a loop that was left, they are the end of the run's."""
        if self._left:
            self.finish()
        else:
            self.evaluation.begin()

    def end_epoch(self) -> None:
        """The epoch's body is done: a checkpoint if one is due, and a halt if one was decided. Collective.

        The checkpoint is written here and not at the report, so that it holds what the body does after its report,
        such as a scheduler's step.
        """
        self.steps.leave()
        self.state.phase = LoopPhase.OUTSIDE
        if self.checkpoints.halted:
            return
        self._check_epoch()
        self.state.epoch_done()
        if self.checkpoints.agree_on_halt() or self.checkpoints.is_due(last=self.state.all_trained):
            self.checkpoints.checkpoint()
        self.checkpoints.leave_if_interrupted()

    def _return_to_epochs(self) -> None:
        """The function broke out of its loop and begins another: an epoch that it had not touched is given again."""
        left, self._left = self._left, False
        self.state.meters.take(self.evaluation.after_end)
        if left and self.state.epoch_touched:
            self.end_epoch()

    def _check_epoch(self) -> None:
        position = self.state.position
        if not self.state.epoch_reported:
            self._warn_of_silence(position.epoch)
            self.coordinator.poll()
        if self.length.unit is Unit.STEP and position.batch == 0:
            raise ConfigError(
                f"spec.trainer.maxSteps: {self.length.amount}: epoch {position.epoch} made no step, so the run "
                "would never end; draw its batches from run.steps(loader), or say trainer.maxEpochs instead"
            )

    def _warn_of_silence(self, epoch: int) -> None:
        """Once: reports may come every few epochs, or by steps."""
        if not self._silence_told:
            self._silence_told = True
            self._warn(
                f"epoch {epoch} ended without run.report(); nothing was judged. This is not said again"
            )

    def _warn(self, message: str) -> None:
        self._tell(events.Warned(message))

    # --- for a loop of one's own --------------------------------------------------------------------------------------

    def end_step(self) -> bool:
        """A step of a loop of one's own is done: whether the run halts after it. Collective if it does."""
        state = self.state
        state.advance(state.position.batch + 1, completes_step=True)
        if self.coordinator.poll():
            self.checkpoints.halt()
        elif self.length.unit is Unit.STEP and state.all_trained:
            self.leave_epochs()
            self.finish()
        elif self.checkpoints.is_due_amid():
            self.checkpoints.checkpoint()
            self.checkpoints.leave_if_interrupted()
        return self.checkpoints.halted

    def repeat_epoch(self) -> None:
        """The function has begun the epoch with its first batch again, though some are done."""
        self.state.replaying = None
        position = self.state.position
        if position.batch:
            self._warn(
                f"epoch {position.epoch} begins again with its first batch, "
                f"though {position.batch} of its steps were trained before the checkpoint; "
                "coordinator.steps(loader) goes on with the next one"
            )
        self.state.position = replace(position, batch=0, steps_over=False)

    def pass_epoch(self) -> ResumePoint:
        """The epoch of a loop of one's own is reported; its state is kept as it is before the rest of the body."""
        self.state.phase = LoopPhase.OUTSIDE
        self.state.epoch_done()
        return self.state.resume_point_here()
