"""One worker's way through a run: where it is, when it halts, what is saved on the way.

`Run` and `StoppingCoordinator` are two ways to walk it. All ranks walk it together: every method marked collective is
called by all of them at the same place.

A checkpoint is exact if the training function, called again, comes to the same place in the same state. It comes back
to an epoch's beginning, runs what stands before the epoch's steps once more, and goes on after the steps that are done.
So a run halts, and is saved, only after a whole step, after the steps of an epoch (what follows them, evaluation as a
rule, is done again), and at the end of an epoch. Evaluation amid the steps is no such place: it runs to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from trainjobs.api import Length, Unit
from trainjobs.coordination import Coordinator, Decision, Outcome
from trainjobs.exits import ConfigError
from trainjobs.runtime.checkpoint import randomness
from trainjobs.runtime.checkpoint.rank_states import RankStates
from trainjobs.runtime.checkpoint.snapshot import Snapshot
from trainjobs.runtime.checkpoint.store import Position
from trainjobs.runtime.checkpoint.tracked import Tracked, are_same
from trainjobs.runtime.checkpointing import Keeper
from trainjobs.runtime.data.lockstep import Lent, Lockstep, share_buffers
from trainjobs.runtime.meters import Meters
from trainjobs.runtime.position import Anew, Interrupted, Phase, Place, Report, position_of


class Journey:
    """Position, tracked objects and logged metrics of one worker."""

    def __init__(self, place: Place, length: Length, coordinator: Coordinator, keeper: Keeper) -> None:
        self.place = place
        self.length = length
        self.coordinator = coordinator
        self.keeper = keeper
        restored = keeper.restored
        self.tracked = Tracked(restored.objects if restored else None, keeper.source)
        self._rank_states = RankStates(coordinator.exchange, keeper.warn)
        self.meters = Meters()
        self.replicas: list[DistributedDataParallel] = []
        """Models whose buffers rank 0 gives to all when an epoch's steps are over."""
        self.position = (
            position_of(restored.position, restored.ranks[place.rank])
            if restored
            else Position(0, 0, 0, reported=True, seconds=0.0)
        )
        self.phase = Phase.OUTSIDE
        self.batches: int | None = None
        """Batches of this epoch; None while nobody knows."""
        self.lent: Lent | None = None
        self.finished = False
        self.loop: object = None
        """The loop over epochs that is gone through."""
        self._begun = False
        self._left = False
        self._whole = True
        self._reports_before = 0
        """Observations before this epoch."""
        self._reports_again = 0
        """Observations before the next report that a resumed function makes once more on its way back."""
        self._reports_amid = 0
        """Observations until the end of this epoch's steps."""
        self._entry: Anew | None = None
        """The beginning of this epoch."""
        self._entry_sums: list[torch.Tensor] | None = None
        """See `Tracked.heavy_sums`."""
        self._weights: tuple[tuple[tuple[int, int], ...], list[torch.Tensor] | None] = ((), None)
        """Those of the last place: `Tracked.weights` and `Tracked.weight_sums`."""
        self._evaluates_own = True
        """Whether this evaluation is of the model's own weights, as far as its first batch can tell."""
        self._anew: Anew | None = None
        """The beginning of this epoch, or of what follows its steps; None while nobody has come there."""
        self._amid: Snapshot | None = None
        """What the checkpoint was taken amid, until the function has come back there."""
        self._lockstep: Lockstep | None = None
        self._state_of_loader: object = None
        self._numbers_as_before = False
        self._deferred: Callable[[], object] | None = None
        self._start_of_epoch: Mapping[str, Any] | None = None
        self._began = time.monotonic()

    @property
    def rested(self) -> bool:
        """Whether the run has halted."""
        return self.keeper.rest is not None

    @property
    def seconds(self) -> float:
        """Training seconds so far, all attempts together."""
        return self.position.seconds + time.monotonic() - self._began

    @property
    def all_trained(self) -> bool:
        """Whether the run has come to its length."""
        return self.length.named(self.position.epoch, self.position.step) >= self.length.amount

    @property
    def decision(self) -> Decision | None:
        """What ended the run; None while it goes on."""
        return self.coordinator.decision

    # --- the run ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Continue where the checkpoint was taken: generators, logged sums, verdict on the history. Collective."""
        if self._begun:
            self._return_to_loop()
            return
        self._begun = True
        self.tracked.check_complete()
        if self.keeper.restored is not None:
            self._return(self.keeper.restored.ranks[self.place.rank])
            self.keeper.judge_again()
            self.keeper.restored = None  # every state is loaded, and this one held memory
        self.coordinator.pause()
        self._began = time.monotonic()

    def begin_loop(self) -> object:
        """Begin a loop over epochs; one before that was not closed has been left. Collective."""
        if self.phase is not Phase.OUTSIDE:
            self.leave_epochs()
        self.loop = object()
        self.begin()
        return self.loop

    def restore_numbers(self) -> None:
        """Go on with the checkpoint's random numbers and sums, once: here, where a loop is about to begin."""
        restored = self.keeper.restored
        if restored is not None and not self._numbers_as_before:
            mine = restored.ranks[self.place.rank]
            randomness.restore(mine["randomness"], self.place.device)
            self.meters.restore(mine["meters"])
        self._numbers_as_before = True

    def _return(self, mine: Mapping[str, Any]) -> None:
        """Go on from what this rank had put into the checkpoint."""
        self.restore_numbers()
        self._start_of_epoch = mine["start of epoch"]
        self._state_of_loader = mine.get("loader")
        begun = self.position.batch > 0 or self.position.steps_over
        if begun and not self.position.reported and mine.get("entry"):
            self._amid = replace(self._snapshot(), randomness=mine["randomness"])
            self._reports_before, self._reports_amid = mine["reports"]
            Snapshot.from_dict(mine["entry"]).restore(self.tracked, self.meters, self.place.device)

    def is_over(self) -> bool:
        """Whether everything is trained or the run has halted. Collective."""
        trained = self.position.reported and self.all_trained
        return trained or self.rest_if_halted()

    def finish(self) -> None:
        """End the run: no decision can come any more, the best weights are restored, the model is kept. Collective."""
        if self.finished:
            return
        self.flush()
        if self._left and not self.rested:
            self._end_left_epoch()
        self.keeper.conclude(self.position.step)
        self.leave_if_interrupted()
        best = self.keeper.restore_best(self.tracked.models())
        self.keeper.save_model(self.tracked.models(), self.position, best)
        self.finished = True

    def final(self) -> Report:
        """Account for the metrics logged after the end. Collective."""
        without_data, pairs = self.meters.without_data, self.meters.drain()
        return Report(self.keeper.final(pairs, without_data=without_data), self.decision, leave=True)

    # --- an epoch -----------------------------------------------------------------------------------------------------

    def enter_epoch(self) -> None:
        """Go on with the epoch the checkpoint lies in, or with the next."""
        if self.position.reported:
            self.position = replace(
                self.position, epoch=self.position.epoch + 1, batch=0, reported=False, steps_over=False
            )
        if self._amid is None:
            self._reports_before = len(self.coordinator.history)
        self._reports_again = self._reports_before
        self._whole = True
        self.batches = None
        self.phase = Phase.BODY
        self._entry = self._begin_anew()
        self._entry_sums = self.tracked.heavy_sums()
        self._mark_weights()

    def leave_epochs(self) -> None:
        """The function has broken out of the loop. Not collective: it may be unwinding."""
        self.leave_steps()
        self.phase, self._left = Phase.OUTSIDE, True

    def end_epoch(self) -> None:
        """The epoch's body is done: a checkpoint if one is due, and a halt if one was decided. Collective.

        The checkpoint is written here and not at the report, so that it holds what the body does after its report,
        such as a scheduler's step.
        """
        self.leave_steps()
        self.phase = Phase.OUTSIDE
        if self.rested:
            return
        self._check_epoch()
        self.position = replace(self.position, reported=True, steps_over=False)
        if self.rest_if_halted() or self.keeper.is_due(self.position, last=self.all_trained):
            self.checkpoint()
        self.leave_if_interrupted()

    def pass_epoch(self) -> Anew:
        """The epoch of a loop of one's own is reported; the place is kept as it is before the rest of the body."""
        self.phase = Phase.OUTSIDE
        self.position = replace(self.position, reported=True, steps_over=False)
        return self.place_here()

    def _return_to_loop(self) -> None:
        """The function broke out of its loop and begins another: an epoch that it had not touched is given again."""
        left, self._left = self._left, False
        if left and self._touched:
            self.end_epoch()

    def _end_left_epoch(self) -> None:
        """The function broke out of its loop for good; a resumed one has to come to that place by itself."""
        self.keeper.conclude(self.position.step)
        if not self._is_interrupted:
            epoch = self.position.epoch - (not self._touched)
            self.position = replace(self.position, epoch=epoch, reported=True, steps_over=False)
            self.checkpoint()
        elif self.position.steps_over and self._anew is not None:
            self._save_anew()

    @property
    def _touched(self) -> bool:
        """Whether anything was done in the epoch that was left."""
        return self.position.batch > 0 or len(self.coordinator.history) > self._reports_before

    def _check_epoch(self) -> None:
        if len(self.coordinator.history) == self._reports_before:
            self.keeper.warn(f"epoch {self.position.epoch} ended without run.report(); nothing was judged")
            self.coordinator.poll()
        if self.length.unit is Unit.STEP and self.position.batch == 0:
            raise ConfigError(
                f"spec.trainer.maxSteps: {self.length.amount}: epoch {self.position.epoch} made no step, so the run "
                "would never end; draw its batches from run.steps(loader), or say trainer.maxEpochs instead"
            )

    # --- its steps ----------------------------------------------------------------------------------------------------

    def come_back(self) -> None:
        """The function is where the checkpoint was taken: forget what it did once more on its way."""
        if self._amid is not None:
            self._amid.restore(self.tracked, self.meters, self.place.device)
            self._amid = None

    def _undo_writes(self) -> None:
        """On the way back, what the function has written before the steps is the checkpoint's again."""
        if self._amid is not None and self._body_has_written:
            self.tracked.reload(self.keeper.states_restored())

    def begin_steps(self) -> None:
        """Ticks are steps from here. Collective, if the run halts here or the best is to be kept."""
        before = self.phase is Phase.BODY and not self.coordinator.halted
        if self.keeper.improved and before and not self._body_has_written:
            self._save_anew()  # the report came before the steps, which are about to change the weights
        if self.position.batch == 0 or self._start_of_epoch is None:
            self._start_of_epoch = randomness.capture(self.place.device)
        self.phase = Phase.STEPS
        self._whole = False
        self.coordinator.begin(self.position.step, self.seconds)

    def steps(self, loader: Iterable[Any], accumulate: int, limit: int | None) -> Generator[Any]:
        """The training batches of this epoch; the run halts between its steps. Collective."""
        if self.coordinator.halted and not self.rested:
            self.halt()
        if self.rested:
            return
        self._undo_writes()
        if self.position.steps_over:
            self.phase, self._anew = Phase.AFTER, None
            self._mark_weights()
            self._reports_again = self._reports_amid
            return
        self.come_back()
        self.begin_steps()
        lockstep = self._lockstep = Lockstep(
            loader, self.coordinator, rank=self.place.rank, accumulate=accumulate, limit=limit
        )
        try:
            yield from self._walk(lockstep)
        finally:
            if self._lockstep is lockstep:  # else an earlier epoch's, which something has kept until now
                self.leave_steps()

    def _walk(self, lockstep: Lockstep) -> Iterator[Any]:
        lockstep.restore(self._state_of_loader)
        self._state_of_loader = None
        with self._as_at_the_start_of_the_epoch():
            batches = lockstep.batches(self.position.epoch, self.position.batch, self._steps_left())
        if self.coordinator.halted:
            self.halt()
            return
        for lent in batches:
            self.batches, self.lent = lockstep.total, lent
            yield lent.batch
            if self._lockstep is not lockstep or self.phase is Phase.BODY:
                raise RuntimeError("these run.steps() were of an earlier epoch; each epoch asks for its own")
            if self.end_batch(lent):
                return
        if not self.coordinator.halted:
            for replica in self.replicas:
                share_buffers(replica)
        elif not self.rested:
            self.halt()

    def end_batch(self, lent: Lent) -> bool:
        """The function asks for the next batch: whether it has halted after this one. Collective if it does.

        A report has counted the batch already, without a halt, since the rest of the loop's body was still to come.
        After the last batch a halt waits for the evaluation or the report: they may need variables of the loop's body.
        """
        if lent.last:
            self._take_back_unpolled()
            return False
        if self._take_back() is not None:
            halted = lent.completes_step and self.coordinator.poll()
        else:
            halted = lent.completes_step and self.coordinator.halted
        if not lent.completes_step:
            return False
        if not halted and self.keeper.is_due_amid(self.position):
            self.checkpoint()
            halted = self.rested
        elif halted:
            self.halt()
        return halted

    def end_step(self) -> bool:
        """A step of a loop of one's own is done: whether the run halts after it. Collective if it does."""
        self.advance(self.position.batch + 1, completes_step=True)
        if self.coordinator.poll():
            self.halt()
        elif self.length.unit is Unit.STEP and self.all_trained:
            self.leave_epochs()
            self.finish()
        elif self.keeper.is_due_amid(self.position):
            self.checkpoint()
            self.leave_if_interrupted()
        return self.rested

    def repeat_epoch(self) -> None:
        """The function has begun the epoch with its first batch again, though some are done."""
        self._amid = None
        if self.position.batch:
            self.keeper.warn(
                f"epoch {self.position.epoch} begins again with its first batch, "
                f"though {self.position.batch} of its steps were trained before the checkpoint; "
                "coordinator.steps(loader) goes on with the next one"
            )
        self.position = replace(self.position, batch=0, steps_over=False)

    def leave_steps(self) -> None:
        """The epoch's steps are over, whoever ended them. Not collective: it may be unwinding."""
        if self.phase is not Phase.STEPS:
            return
        self._take_back_unpolled()
        if self._lockstep is not None:
            self._lockstep.end()
        self.coordinator.pause()
        self.phase = Phase.AFTER
        self._whole = True
        if not self.rested:
            self.position = replace(self.position, steps_over=True)
            self._anew = None
            self._mark_weights()
            self._reports_amid = len(self.coordinator.history)

    def advance(self, batch: int, *, completes_step: bool) -> None:
        """`batch` batches of this epoch are done."""
        self.position = replace(self.position, batch=batch, step=self.position.step + completes_step)

    def _take_back(self) -> Lent | None:
        """The batch lent to the training function is done; None if it was taken back before."""
        lent, self.lent = self.lent, None
        if lent is not None:
            self.advance(lent.done, completes_step=lent.completes_step)
            self._whole = lent.last
        return lent

    def _take_back_unpolled(self) -> None:
        """The same where the run cannot halt: its next poll or collective is where it does."""
        lent = self._take_back()
        if lent is not None and lent.completes_step:
            self.coordinator.count()

    def _steps_left(self) -> int | None:
        return self.length.named(None, self.length.amount - self.position.step)

    @contextmanager
    def _as_at_the_start_of_the_epoch(self) -> Iterator[None]:
        """Random numbers as they were then, for a loader that shuffles by them and is resumed amid an epoch."""
        if self.position.batch == 0 or self._start_of_epoch is None:
            yield
            return
        now = randomness.capture(self.place.device)
        randomness.restore(self._start_of_epoch, self.place.device)
        yield
        randomness.restore(now, self.place.device)

    # --- what a training function tells -------------------------------------------------------------------------------

    def judge(self) -> Report:
        """Report what was logged, and learn the decision. Collective."""
        self._take_back_unpolled()
        without_data, pairs = self.meters.without_data, self.meters.drain()
        if self.rested:
            return Report({}, self.decision, leave=True)
        if self._amid is not None and self._reports_again < len(self.coordinator.history):
            self._reports_again += 1
            return Report(self.coordinator.history[self._reports_again - 1].metrics, None)
        reported = self.coordinator.report(
            epoch=self.position.epoch,
            step=self.position.step,
            seconds=self.seconds,
            metrics=pairs,
            whole=self._whole and not (self.phase is Phase.BODY and self.position.step > 0),
            without_data=without_data,
        )
        self.keeper.reported(reported, self.tracked)
        decision = self.decision
        metrics = reported.observation.metrics if reported.observation else {}
        leave = decision is not None and decision.outcome is not Outcome.INTERRUPTED
        return Report(metrics, decision, leave)

    def poll_evaluation(self) -> bool:
        """An evaluation batch is done: whether the run halts here.

        It does so only after the epoch's steps, and not while other weights are in the model's place (an average's).
        """
        own = self._evaluates_own and self.tracked.weights() == self._weights[0]
        return self.phase is Phase.AFTER and own and self.coordinator.poll()

    def _mark_weights(self) -> None:
        """The function would come back to a place where the weights are those of now."""
        self._weights = self.tracked.weights(), self.tracked.weight_sums()

    @property
    def _weights_are_as_before(self) -> bool:
        """Whether no weight was written since the place that the function would come back to."""
        written, before = self._weights
        return self.tracked.weights() == written and are_same(before, self.tracked.weight_sums())

    @property
    def _has_written(self) -> bool:
        """Whether the function, coming back to the last place, would write once more what it has written since."""
        return not self._weights_are_as_before if self.phase is Phase.AFTER else self._body_has_written

    @property
    def _body_has_written(self) -> bool:
        """Whether models or optimizers are others than at the beginning of this epoch, before its steps."""
        return not are_same(self._entry_sums, self.tracked.heavy_sums())

    def begin_evaluation(self) -> None:
        """Batches for evaluation are asked for. Outside of a loop that was left, they are the end of the run's."""
        if self._left:
            self.finish()
        elif self.phase is Phase.AFTER:
            if self._anew is None:
                self.come_back()
                self._begin_anew()
            self._evaluates_own = self._weights_are_as_before

    # --- halts and checkpoints ----------------------------------------------------------------------------------------

    def halt(self) -> None:
        """Halt in the middle of an epoch and write a checkpoint of this very place. Collective.

        Raises:
            Interrupted: after the checkpoint, if the run is to be continued later.
        """
        self.rest_if_halted()
        if self.phase is Phase.STEPS and self.position.batch:
            self.checkpoint()
        elif self._amid is None and not self._has_written:
            self._save_anew()  # else an older checkpoint is the last place that the function comes back to
        self.leave_if_interrupted()

    def checkpoint(self) -> None:
        """Write a checkpoint of this place. Collective."""
        self.save(self.place_here(), self.tracked.states())

    def place_here(self) -> Anew:
        """This very place, its small states copied."""
        return Anew(self.position, self._snapshot(), len(self.coordinator.history))

    def save(self, place: Anew, objects: Mapping[str, Any]) -> None:
        """Write a checkpoint of a place. Collective.

        Args:
            place: where the function will come back to.
            objects: the states of the tracked objects there.
        """
        mine = self._mine(place)
        if self.place.world_size > 1:
            mine["objects"] = self._rank_states.apart(self.tracked.objects, objects)
            mine["buffers"] = self._rank_states.apart_buffers(self.tracked.loose_buffers(objects))
            self.rest_if_halted()
        position = replace(place.position, seconds=self.seconds)
        by_hand = self._lockstep is None and not position.reported
        repeats = position.batch if by_hand else 0
        self.keeper.save(position, objects, mine, reports=place.reports, repeats=repeats)

    def defer(self, act: Callable[[], object]) -> None:
        """Keep a checkpoint that waits for the rest of an epoch's body; `flush` writes it."""
        self._deferred = act

    def flush(self) -> None:
        """Write the checkpoint that waits, if there is one. Collective then."""
        act, self._deferred = self._deferred, None
        if act is not None:
            act()

    def rest_if_halted(self) -> bool:
        """Whether the run has halted, which all ranks then agree on here. Collective if it has."""
        return self.keeper.rest_if_halted(self.position.step) is not None

    def leave_if_interrupted(self) -> None:
        if self._is_interrupted and self.decision is not None:
            raise Interrupted(self.decision.reason)

    @property
    def _is_interrupted(self) -> bool:
        """Whether the run has halted to go on later."""
        rest = self.keeper.rest
        decision = rest.decision if rest else None
        return decision is not None and decision.outcome is Outcome.INTERRUPTED

    def _begin_anew(self) -> Anew:
        """The function would come here by itself after a resume."""
        self._anew = self.place_here()
        return self._anew

    def _save_anew(self) -> None:
        """Write a checkpoint of the last place where something began. Collective."""
        assert self._anew is not None  # noqa: S101 - there is one from the beginning of an epoch on
        self.save(self._anew, self.tracked.states_with(self._anew.states.objects))

    def _snapshot(self) -> Snapshot:
        return Snapshot.take(self.tracked, self.meters, self.place.device)

    def _mine(self, place: Anew) -> dict[str, Any]:
        """What only this rank knows of a place."""
        return {
            "position": asdict(place.position),
            "start of epoch": self._start_of_epoch,
            "loader": self._lockstep.state() if self._lockstep else self._state_of_loader,
            "reports": (self._reports_before, self._reports_amid),
            "entry": None if self._entry is None or place.position.reported else self._entry.states.to_dict(),
            "randomness": place.states.randomness,
            "meters": place.states.meters,
        }
