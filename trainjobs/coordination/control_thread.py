"""The background thread of a rank: it speaks and listens for it, so that the main thread never has to between meetings.

All state of the agreement belongs to this thread; the main thread tells it what it wants by a message to the own rank.
It sleeps in `Communicator.receive` until a message or the next sign of life is due. On rank 0 it leads, too: votes
become a decision, the decision is agreed on, the lost are named.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from trainjobs.coordination.agreement import Proposer
from trainjobs.coordination.decision import Decision, Outcome, Vote
from trainjobs.coordination.errors import ConnectionLost, RankLost
from trainjobs.coordination.failure_detector import FailureDetector
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    Commit,
    Evaluated,
    Gathered,
    Goodbye,
    Heartbeat,
    Message,
    Propose,
    Publish,
    RankLostNotice,
    Refuse,
    TimeLimit,
    ToParticipant,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainjobs.coordination.communicator import Communicator
    from trainjobs.coordination.fence import Fence

_JOIN_S = 5.0


class ControlThread:
    """One rank's background thread; on rank 0 it hosts the leader."""

    def __init__(
        self,
        communicator: Communicator,
        fence: Fence,
        *,
        timeout_s: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        on_lost: Callable[[RankLost], None],
    ) -> None:
        self._communicator = communicator
        self._fence = fence
        self._timeout_s = timeout_s
        self._clock = clock
        self._on_lost = on_lost
        self._rank, world_size = communicator.rank, communicator.world_size
        self._peers = tuple(range(1, world_size)) if self._rank == 0 else (0,)
        self._detector = FailureDetector(self._peers, timeout_s, fence.step, clock())
        self._due = clock()
        self._serving = True
        self.leader = (
            Leader(world_size, fence, self._detector, communicator.send, wall) if self._rank == 0 else None
        )
        self._thread = threading.Thread(target=self._run, name=f"coordination-{self._rank}", daemon=True)
        self._thread.start()

    def post(self, message: Message) -> None:
        """From any thread of this rank, or a signal handler: takes no lock, does not block."""
        self._communicator.send(self._rank, message)

    def close(self, grace_s: float) -> None:
        """Say good-bye and end the thread."""
        self.post(Goodbye(self._fence.step))
        self._thread.join(_JOIN_S)
        self._communicator.close(grace_s)

    def _run(self) -> None:
        try:
            while self._serving:
                self._serve()
        except ConnectionLost:
            self._lose(RankLostNotice(0, self._detector.last_step(0), left=False))
        except Exception as error:
            self._fence.fail(RankLostNotice(self._rank, self._fence.step, left=False), error)
            with suppress(Exception):  # what has failed may fail again; then the others learn by the silence
                self._leave(Goodbye(self._fence.step))

    def _serve(self) -> None:
        received = self._communicator.receive(max(self._wake_at() - self._clock(), 0.0))
        now = self._clock()
        if received is not None:
            rank, message = received
            self._detector.heard(rank, now)
            self._on(rank, message)
        if now >= self._wake_at():
            self._on_time(now)

    def _wake_at(self) -> float:
        deadline = self.leader.deadline if self.leader else None
        return min(self._due, deadline.at if deadline else math.inf)

    def _on_time(self, now: float) -> None:
        if now >= self._due + self._timeout_s / 2:
            self._detector.reset(now)
        if now >= self._due:
            self._due = now + self._detector.interval_s
            for rank in self._peers:
                self._communicator.send(rank, Heartbeat(self._fence.step))
        if self.leader is not None:
            self.leader.on_time(now)
        elif self._detector.overdue(now) is not None:
            self._lose(RankLostNotice(0, self._detector.last_step(0), left=False))

    def _on(self, rank: int, message: Message) -> None:
        match message:
            case Heartbeat(step):
                self._detector.heard(rank, self._clock(), step)
            case Goodbye() if rank == self._rank:
                self._leave(message)
            case Goodbye() if self.leader is None:
                self._dismiss(message)
            case Propose() | Commit() | Gathered() | Publish() | RankLostNotice():
                self._follow(message)
            case _ if self.leader is None:
                self._communicator.send(0, message)
            case _:
                self.leader.on(rank, message)

    def _follow(self, message: Message) -> None:
        """A word of rank 0."""
        match message:
            case Propose():
                answer = self._fence.propose(message)
                if answer is not None:
                    self._communicator.send(0, answer)
            case Commit():
                self._fence.commit(message)
            case Gathered():
                self._fence.gather(message)
            case Publish():
                self._fence.publish(message)
            case RankLostNotice():
                self._lose(message)

    def _lose(self, notice: RankLostNotice) -> None:
        if self._fence.participant.lost is None:
            error = RankLost(notice.rank, notice.step, self._timeout_s, notice.left)
            self._fence.fail(notice, error)
            self._on_lost(error)

    def _leave(self, goodbye: Goodbye) -> None:
        self._serving = False
        if self.leader is not None:
            self.leader.close()
        else:
            self._communicator.send(0, goodbye)

    def _dismiss(self, goodbye: Goodbye) -> None:
        """Rank 0 has left after the end of the run: nobody is lost, but nobody would answer either."""
        self._serving = False
        self._fence.fail(
            RankLostNotice(0, goodbye.step, left=True), RankLost(0, goodbye.step, self._timeout_s, left=True)
        )
        self._communicator.close(0.0)


class Leader:
    """Rank 0's part: drives the Proposer. Only the background thread of rank 0 comes here."""

    def __init__(
        self,
        world_size: int,
        fence: Fence,
        detector: FailureDetector,
        send: Callable[[int, Message], None],
        wall: Callable[[], float],
    ) -> None:
        self.votes: list[Vote] = []
        """Every vote received, in order; the first one counts."""
        self.deadline: TimeLimit | None = None
        self._proposer = Proposer(world_size)
        self._fence = fence
        self._detector = detector
        self._send = send
        self._wall = wall
        self._over = False
        self._left: dict[int, int] = {}

    def on(self, rank: int, message: Message) -> None:
        """A message to rank 0, from `rank`."""
        match message:
            case Vote():
                self._count(message)
            case Accept():
                self._step(self._proposer.on_accept(rank, message))
            case Refuse():
                self._step(self._proposer.on_refuse(rank, message))
            case Arrive():
                self._step(self._proposer.on_arrive(rank, message))
                self._miss()
            case Evaluated():
                self._over = self._over or all(arrive.call == "halt" for _, arrive in self._proposer.arrivals)
                self._step(self._proposer.on_rule(message))
            case TimeLimit():
                self.deadline = message
            case Goodbye(step):
                self._on_goodbye(rank, step)

    def on_time(self, now: float) -> None:
        """Vote when the budget of seconds is used up; give up a rank that is silent."""
        if self.deadline is not None and now >= self.deadline.at:
            spent, self.deadline = self.deadline, None
            reason = f"{spent.seconds:g} of {spent.seconds:g} seconds are used"
            self._count(Vote(0, Outcome.EARLY_STOPPED, reason, spent.criterion))
        silent = self._detector.overdue(now)
        if silent is not None:
            self._lose(RankLostNotice(silent, self._detector.last_step(silent), left=False))

    def close(self) -> None:
        """Rank 0 leaves: a good-bye when the run is over, a loss for the others when it is not."""
        if not self._over:
            self._lose(RankLostNotice(0, self._fence.step, left=True))
        for rank in range(1, self._proposer.world_size):
            self._send(rank, Goodbye(self._fence.step))

    def _count(self, vote: Vote) -> None:
        self.votes.append(vote)
        if not self._over:
            decision = Decision.of_vote(vote, self._fence.step, self._wall())
            self._step(self._proposer.decide(decision, self._fence.tick))

    def _on_goodbye(self, rank: int, step: int) -> None:
        self._left[rank] = step
        self._detector.forget(rank)
        self._miss()

    def _miss(self) -> None:
        """Has somebody left whom the others still need? Before the end of the run they always do."""
        if self._left and (self._proposer.arrivals or not self._over):
            rank, step = next(iter(self._left.items()))
            self._lose(RankLostNotice(rank, step, left=True))

    def _lose(self, notice: RankLostNotice) -> None:
        self._detector.forget(notice.rank)
        self._step(self._proposer.lose(notice))

    def _step(self, transition: tuple[Proposer, list[tuple[int, ToParticipant]]]) -> None:
        self._proposer, outgoing = transition
        for rank, message in outgoing:
            self._send(rank, message)
