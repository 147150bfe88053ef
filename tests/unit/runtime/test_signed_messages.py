"""A letter is opened once, by whom it was written to, in the order written, and nobody else's ever."""

import random

import pytest

from trainjobs.coordination import ConnectionLost
from trainjobs.runtime.signed_messages import SignedMessages

KEY = b"k" * 32


@pytest.fixture
def ranks():
    return [SignedMessages(KEY, rank) for rank in range(3)]


def test_letters_of_all_ranks_to_all_others_are_opened_in_order(ranks):
    for words in (b"", b"first", b"\x00" * 1000, b"last"):
        for sender, receiver in [(0, 1), (1, 0), (2, 0), (0, 2), (1, 1)]:
            assert ranks[receiver].open(ranks[sender].seal(receiver, words)) == (sender, words)


@pytest.mark.parametrize(
    "letter", [b"", b"junk", b"close", b'1:{"kind": "CastVote"}', b"\x00" * 44, b"\x00" * 500]
)
def test_what_is_no_letter_is_refused(ranks, letter):
    assert ranks[0].open(letter) is None


def test_a_letter_of_which_anything_was_changed_is_refused_and_the_true_one_opened(ranks):
    letter, dice = ranks[1].seal(0, b"a vote"), random.Random(7)
    for place in range(len(letter)):
        forged = bytearray(letter)
        forged[place] ^= dice.randrange(1, 256)
        assert ranks[0].open(bytes(forged)) is None
        assert ranks[0].open(letter[:place]) is None
        assert ranks[0].open(letter + letter[:place] + b"x") is None
    assert ranks[0].open(letter) == (1, b"a vote")


def test_a_letter_of_another_key_to_another_rank_or_opened_before_is_refused(ranks):
    letter = ranks[1].seal(0, b"a vote")
    assert ranks[0].open(SignedMessages(b"another run", 1).seal(0, b"a vote")) is None
    assert ranks[2].open(letter) is None
    assert ranks[0].open(letter) == (1, b"a vote")
    assert ranks[0].open(letter) is None
    assert ranks[0].open(ranks[1].seal(0, b"next")) == (1, b"next")


@pytest.mark.parametrize("skipped", [1, 2])
def test_letters_that_somebody_has_taken_break_the_connection(ranks, skipped):
    letter = [ranks[1].seal(0, b"") for _ in range(skipped + 1)][skipped]
    with pytest.raises(ConnectionLost, match="letters of rank 1 to rank 0 were taken"):
        ranks[0].open(letter)
