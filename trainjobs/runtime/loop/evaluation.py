"""Evaluation and reports of an epoch: where a run halts in them, and how metrics are judged."""

from trainjobs.coordination import Outcome
from trainjobs.runtime.loop.checkpointing import Checkpointer
from trainjobs.runtime.loop.loop_checkpoints import LoopCheckpoints
from trainjobs.runtime.loop.position import LoopPhase, Report
from trainjobs.runtime.loop.reporter import RunReporter
from trainjobs.runtime.loop.step_loop import StepLoop
from trainjobs.runtime.loop.training_state import TrainingState


class Evaluation:
    """One worker's side of it."""

    def __init__(
        self,
        state: TrainingState,
        steps: StepLoop,
        checkpoints: LoopCheckpoints,
        checkpointer: Checkpointer,
        reporter: RunReporter,
    ) -> None:
        self._state = state
        self._coordinator = state.coordinator
        self._steps = steps
        self._checkpoints = checkpoints
        self._checkpointer = checkpointer
        self._reporter = reporter
        self._of_own_weights = True
        """Whether this evaluation is of the model's own weights, as far as its first batch can tell."""

    def begin(self) -> None:
        """Batches for evaluation are asked for, in an epoch."""
        state = self._state
        if state.phase is not LoopPhase.AFTER:
            return
        if state.resume_point is None:
            state.end_replay()
            state.resume_point = state.resume_point_here()
        self._of_own_weights = state.writes.weights_unchanged

    def poll(self) -> bool:
        """An evaluation batch is done: whether the run halts here.

        It does so only after the epoch's steps, and not while other weights are in the model's place (an average's).
        """
        own = self._of_own_weights and self._state.writes.versions_unchanged
        return self._state.phase is LoopPhase.AFTER and own and self._coordinator.poll()

    def judge(self) -> Report:
        """Report what was logged, and learn the decision. Collective."""
        state = self._state
        self._steps.count_in_flight()
        without_data, pairs = state.meters.without_data, state.meters.drain()
        if self._checkpoints.halted:
            return Report({}, self._coordinator.decision, leave=True)
        if state.replaying is not None and state.reports_replayed < len(self._coordinator.history):
            state.reports_replayed += 1
            return Report(self._coordinator.history[state.reports_replayed - 1].metrics, None)
        reported = self._coordinator.report(
            epoch=state.position.epoch,
            step=state.position.step,
            seconds=state.seconds,
            metrics=pairs,
            whole=state.whole and not (state.phase is LoopPhase.BODY and state.position.step > 0),
            without_data=without_data,
        )
        self._checkpointer.reported(reported, state.tracked)
        decision = self._coordinator.decision
        metrics = reported.observation.metrics if reported.observation else {}
        leave = decision is not None and decision.outcome is not Outcome.INTERRUPTED
        return Report(metrics, decision, leave)

    def final(self) -> Report:
        """Reduce the metrics logged after the end over ranks, and account for them. Collective."""
        meters = self._state.meters
        without_data, pairs = meters.without_data, meters.drain()
        metrics = self._coordinator.reduce(pairs, without_data=without_data)
        self._reporter.final(metrics)
        return Report(metrics, self._coordinator.decision, leave=True)
