"""Evaluation and reports of an epoch: where a run halts in them, and how metrics are judged."""

from collections.abc import Collection
from typing import Final

from trainjobs.api.stopping import DecayedPlateau
from trainjobs.runs import events
from trainjobs.runtime.loop.kept_weights import KeptWeights
from trainjobs.runtime.loop.loop_checkpoints import LoopCheckpoints
from trainjobs.runtime.loop.position import LoopPhase, Report, ResumePoint
from trainjobs.runtime.loop.step_loop import StepLoop
from trainjobs.runtime.loop.training_state import TrainingState
from trainjobs.runtime.meters import Meters
from trainjobs.runtime.models.gradient_statistics import GradientStatistics

LEARNING_RATE: Final = DecayedPlateau.model_fields["learning_rate"].default
"""The metric that a run observes by itself."""


class Evaluation:
    """One worker's side of it."""

    def __init__(
        self,
        state: TrainingState,
        steps: StepLoop,
        checkpoints: LoopCheckpoints,
        kept: KeptWeights,
        tell: events.Tell,
        judged: Collection[str],
        gradients: GradientStatistics,
    ) -> None:
        self._state = state
        self._coordinator = state.coordinator
        self._steps = steps
        self._checkpoints = checkpoints
        self._kept = kept
        self._tell = tell
        self._judged = judged
        self._gradients = gradients
        self.after_end = Meters()
        """What was logged after the loop over epochs; what the loop has left unreported is none of it."""
        self._of_own_weights = True
        """Whether this evaluation is of the model's own weights, as far as its first batch can tell."""

    def begin(self) -> None:
        """Batches for evaluation are asked for, in an epoch."""
        state = self._state
        if not self._checkpoints.halted:
            self._steps.share_buffers()
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
        if self._checkpoints.halted:
            state.meters.drain()
            return Report({}, self._coordinator.decision, leave=True)
        if state.replaying is not None and state.reports_replayed < len(self._coordinator.history):
            state.meters.drain()
            state.reports_replayed += 1
            return Report(self._coordinator.history[state.reports_replayed - 1].metrics, None)
        self._steps.share_buffers()
        point = self._point()
        without_data, pairs = state.meters.without_data, state.meters.drain()
        reported = self._coordinator.report(
            epoch=state.position.epoch,
            step=state.position.step,
            seconds=state.seconds,
            metrics={**self._observed(), **pairs},
            whole=state.whole and not (state.phase is LoopPhase.BODY and state.position.step > 0),
            without_data=without_data,
        )
        if reported.observation is None:
            self._halt_with_others(point)
        if reported.best:
            self._kept.improve(state.tracked, wanted=reported.restore_best)
        if reported.observation is not None and reported.ruling is not None:
            number = len(self._coordinator.history)
            self._tell(events.Reported.of(reported.observation, reported.ruling, number))
        decision = self._coordinator.decision
        metrics = reported.observation.metrics if reported.observation else {}
        leave = decision is not None and not decision.unwinds
        return Report(metrics, decision, leave, reported.best)

    def _point(self) -> ResumePoint | None:
        """Where a resumed function would come back to from this report, if other ranks halt before it."""
        state = self._state
        if state.phase is not LoopPhase.AFTER:
            return None
        state.end_replay()
        return state.resume_point or state.resume_point_here()

    def _halt_with_others(self, point: ResumePoint | None) -> None:
        """This rank's evaluation was shorter, and those that have more to evaluate halt in it. Collective.

        Raises:
            Interrupted: after the checkpoint, if the run is to be continued later.
        """
        if point is not None:
            self._state.resume_point = point
            self._checkpoints.halt()

    def _observed(self) -> dict[str, tuple[float, float]]:
        """What a criterion reads of the learning rate and the gradients; what the program reports goes before it."""
        rate = self._state.tracked.learning_rate if LEARNING_RATE in self._judged else None
        return {**({} if rate is None else {LEARNING_RATE: (rate, 1.0)}), **self._gradients.drain()}

    def final(self) -> Report:
        """Reduce the metrics logged after the end over ranks, and account for them. Collective."""
        without_data, pairs = self.after_end.without_data, self.after_end.drain()
        metrics = self._coordinator.reduce(pairs, without_data=without_data)
        self._tell(events.Final(metrics))
        return Report(metrics, self._coordinator.decision, leave=True)
