"""Rank 0's part of the background thread: votes become a decision, the decision is agreed on, the lost are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainjobs.coordination.agreement import Proposer
from trainjobs.coordination.decision import Decision, Outcome, Vote
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    CastVote,
    Evaluated,
    Goodbye,
    Message,
    RankLostNotice,
    Refuse,
    TimeLimit,
    ToParticipant,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainjobs.coordination.failure_detector import FailureDetector
    from trainjobs.coordination.fence import Fence


class Leader:
    """Drives the Proposer. Only the background thread of rank 0 comes here."""

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
            case CastVote(vote):
                self._count(vote)
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
