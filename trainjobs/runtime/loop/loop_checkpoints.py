"""Halts and checkpoints of a training loop: which point of the run is written and when, and what unwinds the function.

A checkpoint is exact if the training function, called again, comes to the same place in the same state. It comes back
to an epoch's beginning, runs what stands before the epoch's steps once more, and goes on after the steps that are done.
So a run halts, and is saved, only after a whole step, after the steps of an epoch (what follows them, evaluation as a
rule, is done again), and at the end of an epoch. Evaluation amid the steps is no such place: it runs to its end.

Rank 0 writes; the other ranks hand over what only they know and learn whether the write succeeded, so that a full disk
ends every rank with the same error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainjobs.api import Checkpoint
from trainjobs.exits import UserError
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.contents import Contents, Position
from trainjobs.runtime.checkpoint.file_format import packed, unpacked
from trainjobs.runtime.checkpoint.rank_states import RankStates
from trainjobs.runtime.loop.halt_agreement import HaltAgreement
from trainjobs.runtime.loop.kept_weights import KeptWeights
from trainjobs.runtime.loop.position import Interrupted, LoopPhase, ResumePoint
from trainjobs.runtime.loop.training_state import TrainingState


class LoopCheckpoints:
    """One worker's side of them. All of its methods are collective if the run halts or a checkpoint is written.

    Args:
        state: where the loop is.
        due: when to write one, as the manifest says.
        kept: its checkpoints are rank 0's to write.
        halts: each collective may be where the run halts.
        tell: takes rank 0's events to the driver; of other ranks, nothing.
    """

    def __init__(
        self,
        state: TrainingState,
        due: Checkpoint,
        kept: KeptWeights,
        halts: HaltAgreement,
        tell: events.Tell,
    ) -> None:
        self._state = state
        self._due = due
        self._kept = kept
        self._halts = halts
        self._tell = tell
        self._saved_step = kept.restored.position.step if kept.restored else 0
        self._rank_states = RankStates(state.coordinator.exchange, lambda text: tell(events.Warned(text)))
        self._deferred: Callable[[], object] | None = None

    @property
    def halted(self) -> bool:
        """Whether the run has halted."""
        return self._halts.halted

    @property
    def improved(self) -> bool:
        """Whether the best report so far is newer than the last checkpoint, and its weights are to be kept."""
        return self._kept.improved

    def is_due(self, *, last: bool) -> bool:
        """Whether the end of an epoch, this place, is worth a checkpoint: its turn, the best so far, or the last."""
        return last or self._state.position.epoch % self._due.every_epochs == 0 or self.is_due_amid()

    def is_due_amid(self) -> bool:
        """Whether the end of a step, this place, is worth a checkpoint: the best so far, or its turn."""
        every, step = self._due.every_steps, self._state.position.step
        return self.improved or (every is not None and step // every > self._saved_step // every)

    def agree_on_halt(self) -> bool:
        """Whether the run has halted, which all ranks then agree on here."""
        return self._halts.agree_on_halt(self._state.position)

    def halt(self) -> None:
        """Halt in the middle of an epoch and write a checkpoint of this very place.

        Raises:
            Interrupted: after the checkpoint, if the run is to be continued later.
        """
        self.agree_on_halt()
        if self._state.phase is LoopPhase.STEPS and self._state.position.batch:
            self.checkpoint()
        elif self._all(self._state.replaying is None and not self._state.would_write_again):
            self.save_last_point()  # else an older checkpoint is the last place that the function comes back to
        self.leave_if_interrupted()

    def _all(self, mine: bool) -> bool:
        """Whether it is so on every rank. Collective."""
        return all(piece == b"yes" for piece in self._state.coordinator.exchange(b"yes" if mine else b"no"))

    def leave_if_interrupted(self) -> None:
        """Unwind the training function, if the run is to be continued later."""
        decision = self._state.coordinator.decision
        if self._halts.unwinds and decision is not None:
            raise Interrupted(decision.reason)

    def end_left_epoch(self) -> None:
        """The function broke out of its loop for good; a resumed one has to come to that place by itself."""
        state = self._state
        self._halts.conclude(state.position, state.all_trained)
        if not self._halts.unwinds:
            epoch = state.position.epoch - (not state.epoch_touched)
            state.position = replace(state.position, epoch=epoch, reported=True, steps_over=False)
            self.checkpoint()
        elif state.position.steps_over and state.resume_point is not None:
            self.save_last_point()

    def checkpoint(self) -> None:
        """Write a checkpoint of this place."""
        self.save(self._state.resume_point_here(), self._state.tracked.states())

    def save_last_point(self) -> None:
        """Write a checkpoint of the last point that a resumed function would come back to."""
        point = self._state.resume_point
        assert point is not None  # noqa: S101 - there is one from the beginning of an epoch on
        self.save(point, self._state.tracked.states_with(point.states.objects))

    def save(self, point: ResumePoint, objects: Mapping[str, Any]) -> None:
        """Write a checkpoint of a point.

        Args:
            point: where the function will come back to.
            objects: the states of the tracked objects there; only rank 0's are written.

        Raises:
            UserError: on every rank, when rank 0 could not write.
        """
        state = self._state
        mine = state.of_this_rank(point)
        if state.context.world_size > 1:
            mine["objects"] = self._rank_states.apart(state.tracked.objects, objects)
            mine["buffers"] = self._rank_states.apart_buffers(state.tracked.loose_buffers(objects))
            self.agree_on_halt()
        position = replace(point.position, seconds=state.seconds)
        pieces = state.coordinator.exchange(packed(mine))
        self._halts.agree_on_halt(position)
        state.coordinator.on_rank_0(lambda: self._write(position, objects, pieces, point.reports), UserError)
        self._halts.agree_on_halt(position)
        self._kept.saved()
        self._saved_step = position.step

    def _write(
        self, position: Position, objects: Mapping[str, Any], pieces: Sequence[bytes], reports: int
    ) -> None:
        """Rank 0: with what every rank has handed over, and the first so many reports."""
        state = self._state
        ranks = [unpacked(piece, rank) for rank, piece in enumerate(pieces)]
        contents = Contents(position, dict(objects), state.coordinator.history[:reports], ranks)
        saved = self._kept.checkpoints.save(contents, self._kept.best_report_in(objects))
        by_hand = state.lockstep is None and not position.reported
        repeats = position.batch if by_hand else 0
        at = position.epoch, position.step
        self._tell(events.Checkpointed(saved.uri, *at, saved.seconds, repeats))

    def defer(self, act: Callable[[], object]) -> None:
        """Keep a checkpoint that waits for the rest of an epoch's body; `flush` writes it."""
        self._deferred = act

    def flush(self) -> None:
        """Write the checkpoint that waits, if there is one."""
        act, self._deferred = self._deferred, None
        if act is not None:
            act()
