"""Votes and decisions."""

import pytest

from trainjobs.coordination import Outcome, Vote


def test_a_vote_to_continue_is_refused():
    with pytest.raises(ValueError, match="cannot ask to continue"):
        Vote(0, Outcome.CONTINUE, "go on")
