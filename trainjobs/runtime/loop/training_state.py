"""Where one worker is in a run, and to which point of it a resumed training function would come back."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from trainjobs.api import Length
from trainjobs.coordination import Coordinator
from trainjobs.runtime.checkpoint import randomness
from trainjobs.runtime.checkpoint.contents import Contents, Position
from trainjobs.runtime.checkpoint.snapshot import Snapshot
from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.checkpoint.write_detector import WriteDetector
from trainjobs.runtime.data.lockstep import Lockstep
from trainjobs.runtime.loop.position import LoopPhase, ResumePoint, WorkerContext, position_of
from trainjobs.runtime.loop.start_clock import StartClock
from trainjobs.runtime.meters import Meters
from trainjobs.runtime.models.gradient_statistics import GradientStatistics


class TrainingState:
    """Position, tracked objects and logged metrics of one worker.

    Args:
        context: which worker this is.
        length: of the run.
        coordinator: has the run's observations.
        restored: the checkpoint that this attempt resumes from; None for a fresh start.
        source: where that lies, for messages.
        start: this attempt's.
        gradients: what criteria read of them.
    """

    def __init__(
        self,
        context: WorkerContext,
        length: Length,
        coordinator: Coordinator,
        restored: Contents | None,
        source: str,
        start: StartClock,
        gradients: GradientStatistics,
    ) -> None:
        self.context = context
        self.length = length
        self.coordinator = coordinator
        self.start = start
        self._gradients = gradients
        self.tracked = Tracked(restored.objects if restored else None, source)
        self.meters = Meters()
        self.writes = WriteDetector(self.tracked)
        self.position = (
            position_of(restored.position, restored.ranks[context.rank])
            if restored
            else Position(0, 0, 0, reported=True, seconds=0.0)
        )
        self.phase = LoopPhase.OUTSIDE
        self.lockstep: Lockstep | None = None
        """The batches of the last `steps`."""
        self.loader_state: object = None
        """Of a restored checkpoint, until `steps` takes it."""
        self.whole = True
        """Whether the steps of the epoch are all done, as far as this rank knows; see `Observation.whole`."""
        self.reports_before = 0
        """Observations before this epoch."""
        self.reports_replayed = 0
        """Observations before the next report that a resumed function makes once more on its way back."""
        self.reports_in_steps = 0
        """Observations until the end of this epoch's steps."""
        self.resume_point: ResumePoint | None = None
        """The beginning of this epoch, or of what follows its steps; None while nobody has come there."""
        self.replaying: Snapshot | None = None
        """What the checkpoint was taken amid, until the function has come back there."""
        self._epoch_start: ResumePoint | None = None
        self._epoch_randomness: Mapping[str, Any] | None = None
        """Random numbers at the epoch's first step."""
        self._numbers_restored = False
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Training seconds so far, all attempts together."""
        return self.position.seconds + time.monotonic() - self._began

    def start_clock(self) -> None:
        """Training seconds count from here."""
        self._began = time.monotonic()

    @property
    def all_trained(self) -> bool:
        """Whether the run has come to its length."""
        return self.length.named(self.position.epoch, self.position.step) >= self.length.amount

    @property
    def steps_left(self) -> int | None:
        """Until the run's length; None if that is counted in epochs."""
        return self.length.named(None, self.length.amount - self.position.step)

    @property
    def epoch_touched(self) -> bool:
        """Whether anything was done in this epoch."""
        return self.position.batch > 0 or self.epoch_reported

    @property
    def epoch_reported(self) -> bool:
        return len(self.coordinator.history) > self.reports_before

    # --- the epoch ----------------------------------------------------------------------------------------------------

    def enter_epoch(self) -> None:
        """Go on with the epoch the checkpoint lies in, or with the next."""
        if self.position.reported:
            self.position = replace(
                self.position, epoch=self.position.epoch + 1, batch=0, reported=False, steps_over=False
            )
        if self.replaying is None:
            self.reports_before = len(self.coordinator.history)
        self.reports_replayed = self.reports_before
        self.whole = True
        self.phase = LoopPhase.BODY
        self._epoch_start = self.resume_point = self.resume_point_here()
        self.writes.mark_epoch()

    def advance(self, batch: int, *, completes_step: bool) -> None:
        """`batch` batches of this epoch are done."""
        self.position = replace(self.position, batch=batch, step=self.position.step + completes_step)
        if completes_step:
            self.start.step_done()

    def after_steps(self) -> None:
        """A resumed function comes back to the end of the epoch's steps."""
        self.resume_point = None
        self.writes.mark()

    def epoch_done(self) -> None:
        """The epoch is reported, and over."""
        self.position = replace(self.position, reported=True, steps_over=False)

    def mark_first_step(self) -> None:
        """Steps begin; if they are the epoch's first, a loader that is resumed amid them needs these numbers."""
        if self.position.batch == 0 or self._epoch_randomness is None:
            self._epoch_randomness = randomness.capture(self.context.device)

    @contextmanager
    def randomness_of_first_step(self) -> Iterator[None]:
        """Random numbers as they were then, for a loader that shuffles by them and is resumed amid an epoch."""
        if self.position.batch == 0 or self._epoch_randomness is None:
            yield
            return
        now = randomness.capture(self.context.device)
        randomness.restore(self._epoch_randomness, self.context.device)
        yield
        randomness.restore(now, self.context.device)

    # --- resuming -----------------------------------------------------------------------------------------------------

    def restore_numbers(self, mine: Mapping[str, Any]) -> None:
        """Go on with the checkpoint's random numbers and sums, once."""
        if not self._numbers_restored:
            randomness.restore(mine["randomness"], self.context.device)
            self.meters.restore(mine)
            self._gradients.restore(mine.get("gradients", {}))
        self._numbers_restored = True

    def restore(self, mine: Mapping[str, Any]) -> None:
        """Go on from what this rank had put into the checkpoint, see `of_this_rank`."""
        self.restore_numbers(mine)
        self._epoch_randomness = mine["start of epoch"]
        self.loader_state = mine.get("loader")
        begun = self.position.batch > 0 or self.position.steps_over
        if begun and not self.position.reported and mine.get("entry"):
            self.replaying = replace(self._snapshot(), randomness=mine["randomness"])
            self.reports_before, self.reports_in_steps = mine["reports"]
            Snapshot.from_dict(mine["entry"]).restore(self.tracked, self.meters, self.context.device)

    def end_replay(self) -> None:
        """The function is where the checkpoint was taken: forget what it did once more on its way."""
        if self.replaying is not None:
            self.replaying.restore(self.tracked, self.meters, self.context.device)
            self.replaying = None

    @property
    def would_write_again(self) -> bool:
        """Whether the function, coming back to the last point, would write once more what it has written since."""
        if self.phase is LoopPhase.AFTER:
            return not self.writes.weights_unchanged
        return not self.writes.epoch_unchanged

    def resume_point_here(self) -> ResumePoint:
        """This very place, its small states copied."""
        return ResumePoint(self.position, self._snapshot(), len(self.coordinator.history))

    def of_this_rank(self, point: ResumePoint) -> dict[str, Any]:
        """What only this rank knows of a point, as a checkpoint holds it."""
        entry = self._epoch_start
        return {
            "position": asdict(point.position),
            "start of epoch": self._epoch_randomness,
            "loader": self.lockstep.state() if self.lockstep else self.loader_state,
            "reports": (self.reports_before, self.reports_in_steps),
            "entry": None if entry is None or point.position.reported else entry.states.to_dict(),
            "randomness": point.states.randomness,
            **point.states.meters,
            "gradients": self._gradients.figures(),
        }

    def _snapshot(self) -> Snapshot:
        return Snapshot.take(self.tracked, self.meters, self.context.device)
