"""The steps of an epoch: which batches the training function is given, and where between them the run halts."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from trainjobs.runtime.data.lockstep import (
    InFlightBatch,
    Lockstep,
    give_buffers,
    rebuild_buckets,
    share_buffers,
)
from trainjobs.runtime.loop.kept_weights import KeptWeights
from trainjobs.runtime.loop.loop_checkpoints import LoopCheckpoints
from trainjobs.runtime.loop.position import LoopPhase
from trainjobs.runtime.loop.training_state import TrainingState


class StepLoop:
    """One worker's steps; all ranks make them together."""

    def __init__(self, state: TrainingState, checkpoints: LoopCheckpoints, kept: KeptWeights) -> None:
        self.replicas: list[DistributedDataParallel] = []
        """Models whose buffers rank 0 gives to all before an evaluation, see `share_buffers`."""
        self.total: int | None = None
        """Batches of this epoch; None while nobody knows."""
        self.in_flight: InFlightBatch | None = None
        """The batch that the training function works on."""
        self._state = state
        self._coordinator = state.coordinator
        self._checkpoints = checkpoints
        self._kept = kept

    def batches(self, loader: Iterable[Any], accumulate: int, limit: int | None) -> Generator[Any]:
        """The training batches of this epoch; the run halts between its steps. Collective."""
        state = self._state
        if self._coordinator.halted and not self._checkpoints.halted:
            self._checkpoints.halt()
        if self._checkpoints.halted:
            return
        self._undo_writes()
        if state.position.steps_over:
            self._skip()
            return
        state.end_replay()
        self.begin()
        lockstep = state.lockstep = Lockstep(
            loader, self._coordinator, rank=state.context.rank, accumulate=accumulate, limit=limit
        )
        try:
            yield from self._batches_of(lockstep)
        finally:
            if state.lockstep is lockstep:  # else an earlier epoch's, which something has kept until now
                self.leave()

    def begin(self) -> None:
        """Ticks are steps from here. Collective, if the run halts here or the best is to be kept."""
        state = self._state
        before = state.phase is LoopPhase.BODY and not self._coordinator.halted
        if self._checkpoints.improved and before and state.writes.epoch_unchanged:
            self._checkpoints.save_last_point()  # the report came before the steps, which will change the weights
        state.start.end("setup")
        state.mark_first_step()
        state.phase = LoopPhase.STEPS
        state.whole = False
        self._coordinator.begin(state.position.step, state.seconds)

    def leave(self) -> None:
        """The epoch's steps are over, whoever ended them. Not collective: it may be unwinding."""
        state = self._state
        if state.phase is not LoopPhase.STEPS:
            return
        self.count_in_flight()
        if state.lockstep is not None:
            state.lockstep.end()
        self._coordinator.pause()
        state.phase = LoopPhase.AFTER
        state.whole = True
        if not self._checkpoints.halted:
            state.position = replace(state.position, steps_over=True)
            state.after_steps()
            state.reports_in_steps = len(self._coordinator.history)

    def share_buffers(self) -> None:
        """Give rank 0's buffers to all, once after a step: evaluation may then go on on some ranks alone. Collective.

        Averages have them, too. Who does not evaluate does it at the report, or in the next step's forward pass.
        """
        for replica in self.replicas:
            rebuild_buckets(replica)
        due = [each for each in self.replicas if each.will_sync_module_buffers()]  # type: ignore[no-untyped-call]
        if not due:
            return
        own = self._state.phase is LoopPhase.AFTER and self._state.writes.weights_unchanged
        for replica in due:
            share_buffers(replica)
        for copy in self._copies():
            give_buffers(copy, due[0].device)
        if own:
            self._state.writes.mark()

    @property
    def last_of_step(self) -> bool:
        """Whether the batch in flight completes a step; True where there is none."""
        return self.in_flight is None or self.in_flight.completes_step

    def count_in_flight(self) -> None:
        """The batch in flight is done, where the run cannot halt: its next poll or collective is where it does."""
        batch = self._take_in_flight()
        if batch is not None and batch.completes_step:
            self._coordinator.count()

    def _batches_of(self, lockstep: Lockstep) -> Iterator[Any]:
        state = self._state
        lockstep.restore(state.loader_state)
        state.loader_state = None
        with state.randomness_of_first_step():
            batches = lockstep.batches(state.position.epoch, state.position.batch, state.steps_left)
        if self._coordinator.halted:
            self._checkpoints.halt()
            return
        for batch in batches:
            self.total, self.in_flight = lockstep.total, batch
            yield batch.batch
            if state.lockstep is not lockstep or state.phase is LoopPhase.BODY:
                raise RuntimeError("these run.steps() were of an earlier epoch; each epoch asks for its own")
            if self._end_batch(batch):
                return
        if not self._coordinator.halted:
            self.share_buffers()
        elif not self._checkpoints.halted:
            self._checkpoints.halt()

    def _copies(self) -> Iterator[nn.Module]:
        """Of the prepared models: averages, wrapped in DDP or not, whose buffers come from each rank's own batches."""
        prepared = set(map(id, self.replicas))
        for model in self._state.tracked.models().values():
            for part in model.modules():
                if isinstance(part, DistributedDataParallel | AveragedModel) and id(part) not in prepared:
                    yield part.module

    def _end_batch(self, batch: InFlightBatch) -> bool:
        """The function asks for the next batch: whether it has halted after this one. Collective if it does.

        A report has counted the batch already, without a halt, since the rest of the loop's body was still to come.
        After the last batch a halt waits for the evaluation or the report: they may need variables of the loop's body.
        """
        if batch.last:
            self.count_in_flight()
            return False
        counted_before = self._take_in_flight() is None
        if not batch.completes_step:
            return False
        if self._coordinator.halted if counted_before else self._coordinator.poll():
            self._checkpoints.halt()
            return True
        if self._checkpoints.is_due_amid():
            self._checkpoints.checkpoint()
            return self._checkpoints.halted
        return False

    def _take_in_flight(self) -> InFlightBatch | None:
        """The batch in flight is done; None if it was counted before."""
        batch, self.in_flight = self.in_flight, None
        if batch is not None:
            self._state.advance(batch.done, completes_step=batch.completes_step)
            self._state.whole = batch.last
        return batch

    def _skip(self) -> None:
        """The steps of a resumed epoch are done already."""
        self._state.phase = LoopPhase.AFTER
        self._state.after_steps()
        self._state.reports_replayed = self._state.reports_in_steps

    def _undo_writes(self) -> None:
        """On the way back, what the function has written before the steps is the checkpoint's again."""
        if self._state.replaying is not None and not self._state.writes.epoch_unchanged:
            self._state.tracked.reload(self._kept.states_restored())
