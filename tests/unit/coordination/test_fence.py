"""What holds a main thread, and what lets it go on; the waiting itself is in test_coordinator."""

import pytest

from trainjobs.coordination import Decision, Outcome, RankLost, Vote
from trainjobs.coordination.fence import Fence
from trainjobs.coordination.messages import Accept, Commit, Propose, Publish, RankLostNotice, Refuse

DECISION = Decision.of_vote(Vote(0, Outcome.STOP_REQUESTED, "good enough"), step=1, now=0.0)
LOST = RankLost(1, 3, 60.0)


@pytest.fixture
def fence():
    return Fence(10, lambda: pytest.fail("nobody has set a limit"))


def polls(fence, count):
    return [fence.poll() for _ in range(count)]


def test_a_rank_below_the_proposal_accepts_and_halts_there_when_it_is_committed(fence):
    assert polls(fence, 2) == [False, False]
    assert fence.propose(Propose(0, 4)) == Accept(0, 4)
    fence.commit(Commit(0, 4, DECISION))
    assert polls(fence, 3) == [False, True, True]
    assert fence.halted


@pytest.mark.parametrize("ceiling", [1, 2])
def test_a_rank_at_or_past_the_proposal_refuses_and_runs_on(fence, ceiling):
    polls(fence, 2)
    assert fence.propose(Propose(0, ceiling)) == Refuse(0, ceiling, 2)
    assert polls(fence, 9) == [False] * 9


def test_counted_ticks_are_no_place_to_halt_but_the_next_poll_is(fence):
    fence.propose(Propose(0, 1))
    fence.commit(Commit(0, 1, DECISION))
    for _ in range(3):
        fence.count()
    assert not fence.halted
    assert fence.poll()


def test_a_published_word_ends_the_segment_and_ticks_begin_anew(fence):
    polls(fence, 3)
    assert fence.published_in(0) is None
    fence.publish(Publish(0, None, {}))
    assert (fence.tick, fence.step) == (0, 13)
    assert fence.published_in(0) == Publish(0, None, {})
    assert fence.published_in(1) is None
    assert fence.propose(Propose(1, 1)) == Accept(1, 1)


def test_a_published_decision_halts_at_every_poll(fence):
    fence.publish(Publish(0, DECISION, {}))
    assert fence.halted
    assert polls(fence, 2) == [True, True]


def test_steps_are_counted_only_while_training(fence):
    polls(fence, 2)
    fence.pause()
    polls(fence, 5)
    assert fence.step == 12
    fence.begin(12)
    polls(fence, 1)
    assert fence.step == 13


@pytest.mark.parametrize("training", [True, False])
def test_at_the_limit_of_steps_a_rank_asks_what_to_do_while_it_trains(training):
    asked = []
    fence = Fence(10, lambda: asked.append(fence.step) or True)
    if not training:
        fence.pause()
    fence.limit(12)
    assert polls(fence, 2) == [False, training]
    assert asked == ([12] if training else [])
    assert fence.limit_reached is training


def test_a_loss_is_raised_at_the_next_poll_and_wherever_it_waits_but_not_over_news(fence):
    fence.fail(RankLostNotice(1, 3, left=False), LOST)
    with pytest.raises(RankLost):
        fence.poll()
    with pytest.raises(RankLost):
        fence.wait(lambda: None)
    assert fence.wait(lambda: "news") == "news"
    assert fence.propose(Propose(0, 5)) is None


def test_a_loss_after_the_halt_does_not_undo_it(fence):
    fence.publish(Publish(0, DECISION, {}))
    fence.fail(RankLostNotice(1, 3, left=False), LOST)
    assert fence.poll()
