"""The background thread of a rank: it speaks and listens for it, so that the main thread never has to between meetings.

All state of the agreement belongs to this thread; the main thread tells it what it wants by a message to the own rank.
It sleeps in `Communicator.receive` until a message or the next sign of life is due.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from trainjobs.coordination.errors import ConnectionLost, RankLost
from trainjobs.coordination.failure_detector import Watch
from trainjobs.coordination.leader import Chair
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    Cast,
    Commit,
    Deadline,
    Gathered,
    Gone,
    Leave,
    Message,
    Propose,
    Publish,
    Pulse,
    Refuse,
    Rule,
    Unreadable,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainjobs.coordination.communicator import Communicator
    from trainjobs.coordination.fence import Gate

_TO_RANK_0 = (Cast, Accept, Refuse, Arrive, Rule, Deadline)
_JOIN_S = 5.0


class Delegate:
    """One rank's background thread; on rank 0 it has the chair."""

    def __init__(
        self,
        communicator: Communicator,
        gate: Gate,
        *,
        timeout_s: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        on_lost: Callable[[RankLost], None],
    ) -> None:
        self._communicator = communicator
        self._gate = gate
        self._timeout_s = timeout_s
        self._clock = clock
        self._on_lost = on_lost
        self._rank, world_size = communicator.rank, communicator.world_size
        self._peers = tuple(range(1, world_size)) if self._rank == 0 else (0,)
        self._watch = Watch(self._peers, timeout_s, gate.step, clock())
        self._due = clock()
        self._serving = True
        self.chair = Chair(world_size, gate, self._watch, self._send, wall) if self._rank == 0 else None
        self._thread = threading.Thread(target=self._run, name=f"coordination-{self._rank}", daemon=True)
        self._thread.start()

    def post(self, message: Message) -> None:
        """From any thread of this rank, or a signal handler: takes no lock, does not block."""
        self._communicator.send(self._rank, encode(message))

    def close(self, grace_s: float) -> None:
        """Say good-bye and end the thread."""
        self.post(Leave(self._gate.step))
        self._thread.join(_JOIN_S)
        self._communicator.close(grace_s)

    def _run(self) -> None:
        try:
            while self._serving:
                self._serve()
        except ConnectionLost:
            self._gone(Gone(0, self._watch.last_step(0), left=False))
        except Exception as error:
            self._gate.fail(Gone(self._rank, self._gate.step, left=False), error)

    def _serve(self) -> None:
        received = self._communicator.receive(max(self._wake_at() - self._clock(), 0.0))
        now = self._clock()
        if received is not None:
            rank, data = received
            with suppress(Unreadable):
                message = decode(data)
                self._watch.heard(rank, now)
                self._on(rank, message)
        if now >= self._wake_at():
            self._on_time(now)

    def _wake_at(self) -> float:
        deadline = self.chair.deadline if self.chair else None
        return min(self._due, deadline.at if deadline else math.inf)

    def _on_time(self, now: float) -> None:
        if now >= self._due + self._timeout_s / 2:
            self._watch.excuse(now)
        if now >= self._due:
            self._due = now + self._watch.interval_s
            for rank in self._peers:
                self._send(rank, Pulse(self._gate.step))
        if self.chair is not None:
            self.chair.on_time(now)
        elif self._watch.overdue(now) is not None:
            self._gone(Gone(0, self._watch.last_step(0), left=False))

    def _on(self, rank: int, message: Message) -> None:
        match message:
            case Pulse(step):
                self._watch.heard(rank, self._clock(), step)
            case Leave() if rank == self._rank:
                self._leave(message)
            case Leave() if self.chair is None:
                self._dismiss(message)
            case Propose() | Commit() | Gathered() | Publish() | Gone():
                self._follow(message)
            case _ if self.chair is None:
                self._send(0, message)
            case _:
                self.chair.on(rank, message)

    def _follow(self, message: Message) -> None:
        """A word of rank 0."""
        match message:
            case Propose():
                answer = self._gate.propose(message)
                if answer is not None:
                    self._send(0, answer)
            case Commit():
                self._gate.commit(message)
            case Gathered():
                self._gate.gather(message)
            case Publish():
                self._gate.publish(message)
            case Gone():
                self._gone(message)

    def _gone(self, gone: Gone) -> None:
        if self._gate.participant.gone is None:
            error = RankLost(gone.rank, gone.step, self._timeout_s, gone.left)
            self._gate.fail(gone, error)
            self._on_lost(error)

    def _leave(self, leave: Leave) -> None:
        self._serving = False
        if self.chair is not None:
            self.chair.close()
        else:
            self._send(0, leave)

    def _dismiss(self, leave: Leave) -> None:
        """Rank 0 has left after the end of the run: nobody is lost, but nobody would answer either."""
        self._serving = False
        self._gate.fail(Gone(0, leave.step, left=True), RankLost(0, leave.step, self._timeout_s, left=True))
        self._communicator.close(0.0)

    def _send(self, rank: int, message: Message) -> None:
        self._communicator.send(rank, encode(message))
