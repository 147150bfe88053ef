"""What the main thread and the background thread of one rank share: the tick and its ceiling.

The fast path of `poll()` takes no lock. The main thread writes the tick and then reads the ceiling, the background
thread writes the ceiling and then reads the tick; CPython runs them in one order that both agree on, so at least one of
them sees what the other wrote (`agreement` says what follows). All else happens under one condition variable.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from trainjobs.coordination.agreement import NEVER, Participant

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainjobs.coordination.messages import (
        Accept,
        Commit,
        Gathered,
        Propose,
        Publish,
        RankLostNotice,
        Refuse,
    )

News = TypeVar("News")


class Fence:
    """Counts ticks and training steps, and holds the main thread where it may not go on."""

    def __init__(self, step: int, at_limit: Callable[[], bool]) -> None:
        self.changed = threading.Condition()
        """Guards everything below but the tick, and tells waiting main threads of news."""
        self.participant = Participant()
        self.gathered: Gathered | None = None
        self.published: Publish | None = None
        self.error: Exception | None = None
        """Why the main thread cannot go on; raised wherever it waits and at its next poll."""
        self.halted = False
        """The main thread has come to its halt; a loss after that does not undo it."""
        self._at_limit = at_limit
        self._tick = 0
        self._ceiling = NEVER
        self._limit_tick = NEVER
        self._limit_steps: int | None = None
        self._base_tick = 0
        self._base_step = step
        self._training = True

    def poll(self) -> bool:
        """One tick. True: halt here."""
        self._tick += 1
        return self._tick >= self._ceiling and self._at_ceiling()

    def count(self) -> None:
        """One tick that is no place to halt: the next poll or meeting is."""
        self._tick += 1

    @property
    def tick(self) -> int:
        return self._tick

    @property
    def step(self) -> int:
        """Training steps finished."""
        return self._base_step + (self._tick - self._base_tick if self._training else 0)

    # What the main thread does.

    def begin(self, step: int) -> None:
        """Ticks are training steps from here, and `step` are finished."""
        with self.changed:
            self._base_tick, self._base_step, self._training = self._tick, step, True
            self._settle()

    def pause(self) -> None:
        """Ticks are no training steps from here."""
        with self.changed:
            self._base_step, self._training = self.step, False
            self._settle()

    def limit(self, steps: int | None) -> None:
        """Meet the others when `steps` training steps are finished."""
        with self.changed:
            self._limit_steps = steps
            self._settle()

    @property
    def limit_reached(self) -> bool:
        """Whether all the steps there may be are finished."""
        return self._limit_steps is not None and self._training and self.step >= self._limit_steps

    def published_in(self, segment: int) -> Publish | None:
        """How `segment` ended, if it was the last one to end."""
        return self.published if self.published and self.published.segment == segment else None

    def wait(self, news: Callable[[], News | None]) -> News:
        """Block until `news` yields something; if it never will, raises why. News that are there outdo a later loss."""
        with self.changed:
            while (found := news()) is None:
                self._check()
                self.changed.wait()
            return found

    # What the background thread does.

    def propose(self, proposal: Propose) -> Accept | Refuse | None:
        """Show the ceiling first, read the tick second."""
        with self.changed:
            self._become(self.participant.consider(proposal))
            participant, answer = self.participant.answer(proposal, self._tick)
            self._become(participant)
            return answer

    def commit(self, commit: Commit) -> None:
        with self.changed:
            self._become(self.participant.commit(commit))

    def gather(self, gathered: Gathered) -> None:
        with self.changed:
            self.gathered = gathered
            self.changed.notify_all()

    def publish(self, published: Publish) -> None:
        """The segment is over; the main thread waits for this very word, so its tick may be set back here."""
        with self.changed:
            self._base_step, self._base_tick, self._tick = self.step, 0, 0
            self.gathered, self.published = None, published
            self.halted = published.decision is not None
            self._become(self.participant.publish(published))

    def fail(self, notice: RankLostNotice, error: Exception) -> None:
        with self.changed:
            self.error = self.error or error
            self._become(self.participant.lose(notice))

    def _become(self, participant: Participant) -> None:
        self.participant = participant
        self._settle()
        self.changed.notify_all()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def _settle(self) -> None:
        steps, self._limit_tick = self._limit_steps, NEVER
        if steps is not None and self._training:
            self._limit_tick = self._base_tick + max(steps - self._base_step, 0)
        self._ceiling = min(self.participant.ceiling, self._limit_tick)

    def _at_ceiling(self) -> bool:
        with self.changed:
            while not self.halted and self._tick >= self.participant.ceiling:
                self._check()
                self.halted = self.participant.halts(self._tick)
                if not self.halted:
                    self.changed.wait()
            if self.halted:
                return True
        return self._tick >= self._limit_tick and self._at_limit()
