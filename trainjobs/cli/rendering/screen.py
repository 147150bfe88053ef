"""What the live display makes of a run's state: how far it is, and how long it may take. Values only, no terminal."""

import math
from dataclasses import dataclass, field, replace
from typing import Self

from trainjobs.runs.events import Event
from trainjobs.runs.run_state import Phase, RunState


@dataclass(frozen=True, slots=True)
class Screen:
    """A run that somebody watches."""

    name: str
    state: RunState = field(default_factory=RunState)

    def after(self, event: Event) -> Self:
        """The screen after an event."""
        return replace(self, state=self.state.after(event))

    @property
    def epochs_done(self) -> float:
        """Finished epochs with the fraction of the one under way."""
        reported = float(self.state.last.epochs if self.state.last else self._epochs_at_start)
        now = self.state.progress
        if now is None:
            return reported
        part = now.batch / now.batches if now.batches else 0.0
        return max(reported, now.epoch - 1 + min(part, 1.0))

    @property
    def ended(self) -> bool:
        """Whether it trains no more, as long as nothing else happens."""
        return self.state.phase not in {Phase.TRAINING, Phase.STARTING}

    @property
    def epoch(self) -> int:
        """The epoch under way, or the one in which the run ended."""
        done = math.ceil(self.epochs_done) if self.ended else int(self.epochs_done) + 1
        return max(done, 1)

    @property
    def seconds_left(self) -> float | None:
        """To the whole length at the pace of this attempt; None before anything is known. A stop may come sooner."""
        started, length = self.state.started, self.state.length
        if started is None or length is None:
            return None
        done = length.named(self.epochs_done, self.state.step)
        trained = done - length.named(started.epoch, started.resumed_from_step or 0)
        seconds = self.state.seconds - (started.history[-1].seconds if started.history else 0.0)
        if trained <= 0 or seconds <= 0:
            return None
        return (length.amount - done) * seconds / trained

    @property
    def _epochs_at_start(self) -> int:
        return self.state.started.epoch if self.state.started else 0
