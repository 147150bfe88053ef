"""What the live display shows, as a fold over the events: values only, no terminal."""

import math
from dataclasses import dataclass, replace

from trainjobs.api import Length
from trainjobs.runs.events import (
    Checkpointed,
    CriterionResult,
    Decided,
    Event,
    Halted,
    Progress,
    Reported,
    Restarting,
    Started,
    Starting,
)
from trainjobs.stopping import Best, Observation

STARTING = "starting"
TRAINING = "training"
HALTED = "halted, writing the checkpoint"


@dataclass(frozen=True, slots=True)
class Screen:
    """The state of a run that somebody watches."""

    name: str
    phase: str = STARTING
    world_size: int = 0
    device: str = ""
    attempt: int = 1
    length: Length | None = None
    """What it trains when nothing stops it earlier; None before it has started."""
    epochs_at_start: int = 0
    """Epochs finished before this attempt."""
    steps_at_start: int = 0
    seconds_at_start: float = 0.0
    progress: Progress | None = None
    history: tuple[Observation, ...] = ()
    criteria: tuple[CriterionResult, ...] = ()
    best: Best | None = None
    checkpoint: Checkpointed | None = None

    @property
    def last(self) -> Observation | None:
        return self.history[-1] if self.history else None

    @property
    def epochs_done(self) -> float:
        """Finished epochs with the fraction of the one under way."""
        reported = float(self.last.epochs if self.last else self.epochs_at_start)
        now = self.progress
        if now is None:
            return reported
        part = now.batch / now.batches if now.batches else 0.0
        return max(reported, now.epoch - 1 + min(part, 1.0))

    @property
    def ended(self) -> bool:
        """Whether it trains no more, as long as nothing else happens."""
        return self.phase not in {TRAINING, STARTING}

    @property
    def epoch(self) -> int:
        """The epoch under way, or the one in which the run ended."""
        done = math.ceil(self.epochs_done) if self.ended else int(self.epochs_done) + 1
        return max(done, 1)

    @property
    def steps_done(self) -> int:
        """Finished steps."""
        reported = self.last.step if self.last else self.steps_at_start
        return max(reported, self.progress.step if self.progress else 0)

    @property
    def seconds(self) -> float:
        """Training seconds so far."""
        reported = self.last.seconds if self.last else 0.0
        return max(reported, self.progress.seconds if self.progress else 0.0)

    @property
    def seconds_left(self) -> float | None:
        """To the whole length at the pace of this attempt; None before anything is known. A stop may come sooner."""
        if self.length is None:
            return None
        done = self.length.named(self.epochs_done, self.steps_done)
        trained = done - self.length.named(self.epochs_at_start, self.steps_at_start)
        seconds = self.seconds - self.seconds_at_start
        if trained <= 0 or seconds <= 0:
            return None
        return (self.length.amount - done) * seconds / trained


def after(screen: Screen, event: Event) -> Screen:  # noqa: PLR0911 - one return for each kind of event
    """The screen after an event."""
    match event:
        case Starting():
            return replace(screen, phase=STARTING, world_size=event.workers)
        case Started():
            return _started(screen, event)
        case Progress():
            return replace(screen, progress=event)
        case Reported():
            return _reported(screen, event)
        case Decided():
            return replace(screen, phase="stopping at one step on all ranks")
        case Halted():
            return replace(screen, phase=HALTED)
        case Checkpointed():
            phase = "halted, checkpoint written" if screen.phase == HALTED else screen.phase
            return replace(screen, checkpoint=event, phase=phase)
        case Restarting():
            return replace(screen, phase="restarting", attempt=event.attempt, progress=None)
        case _:
            return screen


def _reported(screen: Screen, event: Reported) -> Screen:
    seen, now = event.observation, screen.progress
    if now is not None and seen.whole and _goes_on(screen.length, seen):
        now = replace(now, epoch=seen.epoch + 1, batch=0, step=seen.step, seconds=seen.seconds)
    return replace(
        screen,
        progress=now,
        history=(*screen.history, seen),
        criteria=event.results,
        best=event.best,
    )


def _goes_on(length: Length | None, seen: Observation) -> bool:
    return length is not None and length.named(seen.epochs, seen.step) < length.amount


def _started(screen: Screen, event: Started) -> Screen:
    return replace(
        screen,
        phase=TRAINING,
        attempt=event.attempt,
        world_size=event.world_size,
        device=event.device,
        length=event.length,
        epochs_at_start=event.epoch,
        steps_at_start=event.resumed_from_step or 0,
        seconds_at_start=event.history[-1].seconds if event.history else 0.0,
        history=event.history,
        progress=None,
    )
