"""What rank 0 makes of the messages that come to it, without threads."""

import pytest

from trainjobs.coordination import Outcome, Vote
from trainjobs.coordination.agreement import MARGIN
from trainjobs.coordination.control_thread import Leader
from trainjobs.coordination.failure_detector import FailureDetector
from trainjobs.coordination.fence import Fence
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    Commit,
    Evaluated,
    Gathered,
    Goodbye,
    Propose,
    Publish,
    RankLostNotice,
    Refuse,
    TimeLimit,
)

ENOUGH = Vote(1, Outcome.STOP_REQUESTED, "good enough")
FULL = Vote(0, Outcome.FAILED, "the disk is full")
WALL = 7.0


class Seat:
    """A leader of three ranks at step 5, and what it has sent."""

    def __init__(self, timeout_s=60.0):
        self.sent = []
        detector = FailureDetector([1, 2], timeout_s, step=4, now=0.0)
        self.leader = Leader(
            3, Fence(5, lambda: False), detector, lambda *sent: self.sent.append(sent), lambda: WALL
        )

    def hear(self, rank, message):
        self.leader.on(rank, message)
        return self.news()

    def news(self):
        sent, self.sent[:] = list(self.sent), []
        return sent

    def meet(self, call):
        for rank in range(3):
            self.hear(rank, Arrive(0, call, None))
        return self.hear(0, Evaluated(0, None, {}))


@pytest.fixture
def seat():
    return Seat()


def to_all(message):
    return [(rank, message) for rank in range(3)]


def test_the_first_vote_is_proposed_and_committed_and_the_others_are_kept(seat):
    assert seat.hear(1, ENOUGH) == to_all(Propose(0, MARGIN))
    assert seat.hear(0, FULL) == []
    assert seat.leader.votes == [ENOUGH, FULL]
    assert seat.hear(0, Accept(0, MARGIN)) == seat.hear(1, Accept(0, MARGIN)) == []
    ((rank, commit), *_) = sent = seat.hear(2, Accept(0, MARGIN))
    assert sent == to_all(Commit(0, MARGIN, commit.decision))
    assert (rank, commit.decision.reason, commit.decision.decided_at_step) == (0, ENOUGH.reason, 5)
    assert commit.decision.decided_at == WALL


def test_a_refusal_is_answered_with_a_higher_tick(seat):
    seat.hear(1, ENOUGH)
    ((_, proposal), *_) = seat.hear(2, Refuse(0, MARGIN, 9))
    assert proposal.ceiling > 9


def test_when_all_have_arrived_rank_0_is_given_what_they_brought_and_its_word_goes_to_all(seat):
    arrivals = [Arrive(0, "align", rank) for rank in range(3)]
    assert seat.hear(2, arrivals[2]) == seat.hear(0, arrivals[0]) == []
    assert seat.hear(1, arrivals[1]) == [(0, Gathered(0, tuple(arrivals)))]
    assert seat.hear(0, Evaluated(0, None, {"payloads": [0, 1, 2]})) == to_all(
        Publish(0, None, {"payloads": [0, 1, 2]})
    )


def test_a_budget_of_seconds_votes_once_when_it_is_used_up(seat):
    seat.hear(0, TimeLimit(90.0, 30.0, "budget"))
    seat.leader.on_time(29.9)
    assert seat.news() == []
    seat.leader.on_time(30.0)
    seat.leader.on_time(31.0)
    assert seat.news() == to_all(Propose(0, MARGIN))
    (vote,) = seat.leader.votes
    assert (vote.criterion, vote.reason) == ("budget", "90 of 90 seconds are used")


def test_a_silent_rank_is_named_to_all_once(seat):
    seat.leader.on_time(60.0)
    seat.leader.on_time(61.0)
    assert seat.news() == to_all(RankLostNotice(1, 4, left=False))


def test_a_rank_that_leaves_before_the_end_is_lost_and_after_it_is_not(seat):
    assert seat.hear(2, Goodbye(3)) == to_all(RankLostNotice(2, 3, left=True))
    over = Seat()
    over.meet("halt")
    assert over.hear(2, Goodbye(3)) == []


def test_a_rank_that_has_left_after_the_end_is_missed_by_those_who_meet_again(seat):
    seat.meet("halt")
    seat.hear(2, Goodbye(3))
    assert seat.hear(1, Arrive(1, "exchange", None)) == to_all(RankLostNotice(2, 3, left=True))


def test_a_vote_after_the_end_is_kept_and_changes_nothing(seat):
    seat.meet("halt")
    assert seat.hear(1, ENOUGH) == []
    assert seat.leader.votes == [ENOUGH]


@pytest.mark.parametrize("over", [True, False])
def test_rank_0_says_good_bye_and_before_the_end_that_it_is_lost(seat, over):
    if over:
        seat.meet("halt")
    seat.leader.close()
    loss = [] if over else to_all(RankLostNotice(0, 5, left=True))
    assert seat.news() == [*loss, (1, Goodbye(5)), (2, Goodbye(5))]
