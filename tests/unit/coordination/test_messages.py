"""Messages survive the wire."""

import math

import pytest

from trainjobs.coordination import Decision, Outcome, Vote
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    CastVote,
    Commit,
    Deadline,
    Gathered,
    Goodbye,
    Heartbeat,
    Propose,
    Publish,
    RankLostNotice,
    Refuse,
    Rule,
    Unreadable,
    decode,
    encode,
)

VOTE = Vote(1, Outcome.EARLY_STOPPED, "loß 0.5", "plateau", "loss", math.inf, 0.4, 3)
DECISION = Decision.of_vote(VOTE, step=7, now=1.5)
REPORT = Arrive(3, "report", {"epoch": 1, "metrics": {"loss": [0.1, 2.0]}})
MESSAGES = [
    Propose(1, 2),
    Accept(1, 2),
    Refuse(1, 2, 3),
    Commit(1, 2, DECISION),
    REPORT,
    Gathered(3, (REPORT, Arrive(3, "align", 7))),
    Rule(3, None, {"limit": None}),
    Rule(3, DECISION, {}),
    Publish(3, None, {"payloads": [1, 2]}),
    Publish(3, DECISION, None),
    CastVote(VOTE),
    Heartbeat(9),
    Goodbye(9),
    RankLostNotice(2, 9, True),
    Deadline(3.0, math.inf, "budget"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_the_same_after_a_round_trip(message):
    assert decode(encode(message)) == message


def test_not_a_number_travels():
    assert math.isnan(decode(encode(Publish(0, None, math.nan))).body)


JUNK = [
    b"",
    b"GET / HTTP/1.1",
    b"[]",
    b'"Heartbeat"',
    b"{}",
    b'{"kind": "Heartbeat"}',
    b'{"kind": "Heartbeat", "fields": 3}',
]
JUNK += [
    b'{"kind": "Nobody", "fields": {}}',
    b'{"kind": "Heartbeat", "fields": {"stride": 3}}',
    b"\xff\xfe",
    b"[" * 100_000,
]
JUNK += [b'{"kind": "CastVote", "fields": {"vote": {}}}', b'{"kind": "Gathered", "fields": {"arrivals": 3}}']


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:40]))
def test_what_no_rank_has_sent_is_unreadable(junk):
    with pytest.raises(Unreadable):
        decode(junk)
