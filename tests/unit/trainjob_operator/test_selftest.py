"""Whether a network plugin enforces a policy, at real ports of this machine."""

import socket

import pytest

from trainjob_operator.selftest import CheckError, enforces


@pytest.fixture
def answering():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture
def silent():
    """Bound and not listening: nobody else gets it, and nobody answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


def test_a_closed_port_that_does_not_answer_is_a_policy_in_force(answering, silent):
    enforces(answering, silent)


def test_a_closed_port_that_answers_is_said_plainly(answering):
    with pytest.raises(CheckError, match="the network plugin does not enforce NetworkPolicies, so every pod"):
        enforces(answering, answering, policy_s=0.3)


def test_where_nobody_answers_at_all_nothing_is_known(silent):
    with pytest.raises(CheckError, match=r"nobody answers at .* is not known"):
        enforces(silent, silent, patience_s=0.3)
