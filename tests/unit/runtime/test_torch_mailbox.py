"""What one rank posts, another receives, over a store that lets everybody in."""

import math
import queue
from concurrent.futures import ThreadPoolExecutor

import pytest

from trainjobs.coordination.messages import Arrive, Heartbeat
from trainjobs.runtime.torch_mailbox import TorchCommunicator

REPORT = Arrive(0, "report", {"metrics": {"loss": [math.inf, 2.0]}})


@pytest.fixture
def mailboxes():
    addresses = queue.SimpleQueue()

    def broadcast(address):
        if address is not None:
            addresses.put(address)
            return address
        return addresses.get(timeout=30)

    def connect(rank):
        return TorchCommunicator.connect(rank, 2, broadcast, b"key", host="127.0.0.1")

    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(connect, range(2)))
    yield opened
    for mailbox in reversed(opened):
        mailbox.close(5.0)


def test_a_message_to_another_rank_comes_as_an_equal_one(mailboxes):
    zero, one = mailboxes
    one.send(0, REPORT)
    zero.send(1, Heartbeat(3))
    assert zero.receive(30) == (1, REPORT)
    assert one.receive(30) == (0, Heartbeat(3))


def test_a_message_to_the_own_rank_is_handed_over_as_it_is(mailboxes):
    for rank, mailbox in enumerate(mailboxes):
        mailbox.send(rank, REPORT)
        sender, message = mailbox.receive(30)
        assert (sender, message is REPORT) == (rank, True)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1", b'["Heartbeat", {}]'])
def test_what_is_unreadable_is_dropped_and_what_follows_comes(mailboxes, junk):
    zero, one = mailboxes
    one._sender.queue_push("to/0", one._letters.seal(0, junk))
    one._sender.queue_push("to/0", junk)
    one.send(0, REPORT)
    assert zero.receive(30) == (1, REPORT)
    assert zero.receive(0.0) is None
    assert zero.refused == 1


def test_what_cannot_be_encoded_is_not_sent(mailboxes):
    zero, one = mailboxes
    with pytest.raises(ValueError, match="serialize"):
        one.send(0, Arrive(0, "align", object()))
    one.send(0, REPORT)
    assert zero.receive(30) == (1, REPORT)
