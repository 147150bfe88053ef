"""Messages survive the wire."""

import math

import pytest

from trainjobs.coordination import Decision, Outcome, Vote
from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    Commit,
    Evaluated,
    Gathered,
    Goodbye,
    Heartbeat,
    Propose,
    Publish,
    RankLostNotice,
    Refuse,
    TimeLimit,
    Unreadable,
    decode,
    encode,
)

VOTE = Vote(1, Outcome.EARLY_STOPPED, "loß 0.5", "plateau", "loss", math.inf, 0.4, 3)
DECISION = Decision.of_vote(VOTE, step=7, now=1.5)
MESSAGES = [
    Propose(1, 2),
    Accept(1, 2),
    Refuse(1, 2, 3),
    Commit(1, 2, DECISION),
    Arrive(3, "report", {"epoch": 1, "metrics": {"loss": [0.1, 2.0]}}),
    Arrive(3, "align", 7),
    Publish(3, None, {"payloads": [1, 2]}),
    Publish(3, DECISION, None),
    VOTE,
    Heartbeat(9),
    Goodbye(9),
    RankLostNotice(2, 9, True),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_the_same_after_a_round_trip(message):
    assert decode(encode(message)) == message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.1])
def test_every_float_travels(number):
    vote = Vote(1, Outcome.EARLY_STOPPED, "diverged", value=number)
    for sent in (
        Publish(0, None, {"metrics": [number]}),
        vote,
        Commit(0, 1, Decision.of_vote(vote, 7, 1.5)),
    ):
        assert repr(decode(encode(sent))) == repr(sent)


def test_what_is_in_a_message_is_not_taken_for_another_thing_by_its_name():
    body = {
        "decision": {"outcome": "EarlyStopped"},
        "vote": {},
        "arrivals": [1],
        "kind": "Propose",
        "limit": None,
    }
    assert decode(encode(Publish(3, None, body))) == Publish(3, None, body)


@pytest.mark.parametrize(
    "message",
    [
        Arrive(0, "align", object()),
        Propose("3", 4),
        Gathered(0, ()),
        Evaluated(0, None, {}),
        TimeLimit(3.0, 4.0, "budget"),
    ],
    ids=["no JSON", "another type", "Gathered", "Rule", "Deadline"],
)
def test_what_no_rank_could_read_and_what_stays_within_rank_0_is_not_sent(message):
    with pytest.raises(ValueError, match=r"."):
        encode(message)


JUNK = [
    b"",
    b"GET / HTTP/1.1",
    b"[]",
    b"{}",
    b"null",
    b'"Heartbeat"',
    b'["Heartbeat"]',
    b'["Heartbeat", 3]',
    b'["Heartbeat", {}]',
    b'["Heartbeat", {"step": "3"}]',
    b'["Heartbeat", {"step": 3.5}]',
    b'["Heartbeat", {"step": 3, "stride": 3}]',
    b'["Heartbeat", {"step": 3}, 0]',
    b'["Nobody", {}]',
    b'[["Heartbeat"], {"step": 3}]',
    b'["Vote", {}]',
    b'["Vote", {"rank": 0, "outcome": "Continue", "reason": "go on"}]',
    b'["Commit", {"segment": 0, "ceiling": 3, "decision": null}]',
    b'["Gathered", {"segment": 0, "arrivals": []}]',
    b'["Rule", {"segment": 0, "decision": null, "body": {}}]',
    b'["Deadline", {"seconds": 0.0, "at": 0.0, "criterion": null}]',
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:60]))
def test_what_no_rank_has_sent_is_unreadable(junk):
    with pytest.raises(Unreadable):
        decode(junk)
