"""The line between agents: who is there is known, who goes is missed at once, strangers stay out."""

from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from queue import SimpleQueue

import pytest

from trainjobs.pod.agent_link import Disconnected, HeadLink, NodeLink, Received

KEY = b"token"
S = 10


@pytest.fixture
def heard():
    return SimpleQueue()


@pytest.fixture
def head(heard):
    return HeadLink(("127.0.0.1", 0), KEY, heard.put)


def test_pods_call_and_both_sides_hear_each_other(head, heard):
    inbox = SimpleQueue()
    node = NodeLink(head.address, KEY, 1, inbox.put)
    assert heard.get(timeout=S) == Received(1, {"index": 1})
    assert head.present == {1}
    head.say({"ray": "10.0.0.5:6379"})
    assert inbox.get(timeout=S) == Received(0, {"ray": "10.0.0.5:6379"})
    assert node.say({"leaving": "SIGTERM"})
    assert heard.get(timeout=S) == Received(1, {"leaving": "SIGTERM"})


def test_a_message_reaches_those_that_it_is_for(head, heard):
    inboxes = {}
    for index in (1, 2):
        inboxes[index] = SimpleQueue()
        NodeLink(head.address, KEY, index, inboxes[index].put)
        heard.get(timeout=S)
    head.say({"released": True}, to={2, 7})
    head.say({"leave": True})
    assert inboxes[1].get(timeout=S) == Received(0, {"leave": True})
    assert inboxes[2].get(timeout=S) == Received(0, {"released": True})


def test_a_pod_that_goes_is_missed_at_once(head, heard):
    connection = Client(head.address, authkey=KEY)
    connection.send_bytes(b'{"index": 3}')
    assert heard.get(timeout=S) == Received(3, {"index": 3})
    connection.close()
    assert heard.get(timeout=S) == Disconnected(3)
    assert head.present == set()


def test_a_successor_that_calls_before_its_predecessor_is_missed_stays_present(head, heard):
    old, new = Client(head.address, authkey=KEY), Client(head.address, authkey=KEY)
    for connection in (old, new):
        connection.send_bytes(b'{"index": 1}')
        heard.get(timeout=S)
    old.close()
    new.send_bytes(b'{"still": "here"}')
    assert heard.get(timeout=S) == Received(1, {"still": "here"})
    assert head.present == {1}


def test_a_node_calls_until_a_head_answers_and_again_when_the_line_breaks(head, heard):
    inbox = SimpleQueue()
    with Listener(("127.0.0.1", 0), authkey=KEY) as first:
        node = NodeLink(first.address, KEY, 1, inbox.put)
        for _ in range(2):
            with first.accept() as connection:
                assert connection.recv_bytes() == b'{"index": 1}'
                connection.send_bytes(b'{"ray": "a:1"}')
                assert inbox.get(timeout=S) == Received(0, {"ray": "a:1"})
                assert node.say({"leaving": "SIGTERM"})
            assert inbox.get(timeout=S) == Disconnected(0)
    assert not node.say({"leaving": "SIGTERM"})


def test_strangers_and_the_silent_keep_nobody_waiting(head, heard):
    with pytest.raises(AuthenticationError):
        Client(head.address, authkey=b"guess")
    silent = Client(head.address)
    NodeLink(head.address, KEY, 1, lambda _: None)
    assert heard.get(timeout=S) == Received(1, {"index": 1})
    silent.close()
