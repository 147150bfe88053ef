"""The wire between driver and ranks: nothing is lost, strangers stay out."""

import contextlib
import errno
import socket
import subprocess
import sys
import threading
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from queue import SimpleQueue

import pytest
from processes import until

from trainjobs.api.reasons import Reason
from trainjobs.runs.channel import WINDOW, Address, DriverEnd, RankEnd, welcome
from trainjobs.runs.events import Warned
from trainjobs.runs.requests import interrupt_request, stop_request


def said(number):
    return Warned(str(number))


@pytest.fixture
def heard():
    return SimpleQueue()


@pytest.fixture
def driver(heard):
    end = DriverEnd("127.0.0.1", lambda *told: heard.put(told))
    yield end
    end.close()


def test_events_of_every_rank_arrive_in_order(driver, heard):
    ranks = [RankEnd(driver.address, rank, lambda _: None) for rank in (0, 1)]
    for number in range(100):
        for end in ranks:
            end.send(said(number))
    for end in ranks:
        end.close()
    received = [heard.get(timeout=10) for _ in range(200)]
    for rank in (0, 1):
        assert [event for sender, event in received if sender == rank] == list(map(said, range(100)))


def test_a_request_reaches_rank_zero_even_if_it_connects_later(driver):
    inbox: SimpleQueue = SimpleQueue()
    driver.request(stop_request("enough"))
    end = RankEnd(driver.address, 0, inbox.put)
    assert inbox.get(timeout=10) == stop_request("enough")
    driver.request(interrupt_request("SIGTERM"))
    assert inbox.get(timeout=10) == interrupt_request("SIGTERM")
    end.close()


def test_a_stranger_without_the_key_is_refused_and_disturbs_nobody(driver, heard):
    address = driver.address
    with pytest.raises(AuthenticationError):
        Client((address.host, address.port), authkey=b"guess")
    end = RankEnd(Address(address.host, address.port, address.key), 0, lambda _: None)
    end.send(Warned("still here"))
    assert heard.get(timeout=10) == (0, Warned("still here"))
    end.close()


def test_a_driver_that_has_closed_leaves_no_thread_and_no_port(heard):
    before = set(threading.enumerate())
    driver = DriverEnd("127.0.0.1", lambda rank, message: heard.put((rank, message)))
    end = RankEnd(driver.address, 0, lambda _: None)
    end.close()
    driver.close()
    until(lambda: set(threading.enumerate()) <= before)  # one that is only starting cannot be joined
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((driver.address.host, driver.address.port))


def test_who_talks_nonsense_is_hung_up_on(driver, heard):
    with Client((driver.address.host, driver.address.port), authkey=driver.address.key) as rank:
        rank.send_bytes(b'{"rank": 0}')
        rank.send_bytes(b"[")
        number, failed = heard.get(timeout=30)
        assert (number, failed.kind) == (0, Reason.WORKER_DIED)
        assert rank.poll(30)


def test_sending_to_a_driver_that_is_gone_does_not_raise(driver):
    end = RankEnd(driver.address, 0, lambda _: None)
    driver.close()
    for _ in range(100):
        end.send(Warned("late"))
    end.close()


RANK = """
import sys
from trainjobs.runs.channel import Address, RankEnd
from trainjobs.runs.events import Warned
end = RankEnd(Address("127.0.0.1", int(sys.argv[1]), bytes.fromhex(sys.argv[2])), 1, print)
end.send(Warned("hello"))
sys.stdin.read()
end.close()
"""


@pytest.mark.parametrize("dies", [True, False])
def test_a_rank_whose_process_dies_is_reported_gone_and_one_that_says_good_bye_is_not(driver, heard, dies):
    command = [sys.executable, "-c", RANK, str(driver.address.port), driver.address.key.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert heard.get(timeout=30) == (1, Warned("hello"))
        if dies:
            process.kill()
    if dies:
        rank, event = heard.get(timeout=30)
        assert (rank, event.kind) == (1, Reason.WORKER_DIED)
    assert heard.empty()


def test_what_is_sent_in_turn_waits_for_the_driver_and_keeps_no_report_waiting(driver, heard):
    end = RankEnd(driver.address, 1, lambda _: None)

    def chat():
        for number in range(2 * WINDOW):
            end.send_in_turn(said(number))

    threading.Thread(target=chat, daemon=True).start()
    assert [heard.get(timeout=30)[1] for _ in range(WINDOW)] == list(map(said, range(WINDOW)))
    end.send(Warned("a report"))
    assert heard.get(timeout=30) == (1, Warned("a report"))
    for _ in range(WINDOW):
        driver.took(1)
    assert [heard.get(timeout=30)[1] for _ in range(WINDOW)] == list(map(said, range(WINDOW, 2 * WINDOW)))


DRIVER = """
import sys
from trainjobs.runs.channel import DriverEnd
end = DriverEnd("127.0.0.1", lambda rank, message: None)
print(end.address.port, end.address.key.hex(), flush=True)
sys.stdin.read()
"""


def test_nobody_waits_for_a_driver_that_is_gone():
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port, key = process.stdout.readline().split()
        end = RankEnd(Address("127.0.0.1", int(port), bytes.fromhex(key)), 1, lambda _: None)
        chat = threading.Thread(
            target=lambda: [end.send_in_turn(said(0)) for _ in range(3 * WINDOW)], daemon=True
        )
        chat.start()
        process.kill()
    chat.join(timeout=30)
    assert not chat.is_alive()


def test_a_rank_that_has_said_good_bye_has_been_heard(driver, heard):
    end = RankEnd(driver.address, 1, lambda _: None)
    for number in range(1000):
        end.send(said(number))
    end.close()
    assert heard.qsize() == 1000


def test_words_of_a_rank_that_has_ended_are_received_before_the_end(driver, heard):
    end = RankEnd(driver.address, 1, lambda _: None)
    for number in range(10_000):
        end.send(said(number))
    end.close()
    driver.drain(30.0)
    assert heard.qsize() == 10_000


class ShortOfDescriptors(Listener):
    """Fails to accept its first caller as the system does when descriptors are used up."""

    short = True

    def accept(self):
        connection = super().accept()
        if self.short:
            self.short = False
            connection.close()
            raise OSError(errno.EMFILE, "Too many open files")
        return connection


def test_a_listener_that_was_out_of_descriptors_listens_on():
    served: SimpleQueue = SimpleQueue()
    with ShortOfDescriptors(("127.0.0.1", 0)) as listener:
        welcome(listener, b"key", served.put)
        with pytest.raises((EOFError, OSError)):
            Client(listener.address, authkey=b"key")
        with Client(listener.address, authkey=b"key"):
            served.get(timeout=10).close()


def silent(line):
    """Says nothing."""


def chatty(line):
    """Says a byte now and then, of a word that is never whole."""
    line.sendall(b"\x00")
    line.sendall(b"\x00")


@pytest.mark.parametrize("room", [256, 10])
@pytest.mark.parametrize("caller", [silent, chatty])
def test_an_honest_caller_is_served_among_200_strangers_whose_threads_go_away(room, caller):
    served: SimpleQueue = SimpleQueue()
    patience_s, end, before = 0.2, time.monotonic() + 60, set(threading.enumerate())
    with Listener(("127.0.0.1", 0), backlog=256) as listener, contextlib.ExitStack() as strangers:
        welcome(listener, b"key", served.put, patience_s, room)
        for _ in range(200):
            caller(strangers.enter_context(socket.create_connection(listener.address)))
        with Client(listener.address, authkey=b"key"):
            honest = served.get(timeout=30)
            while {each.name for each in set(threading.enumerate()) - before} != {"channel-accept"}:
                assert time.monotonic() < end
                time.sleep(0.01)
            honest.close()


def test_a_caller_that_was_let_in_may_be_silent_for_longer_than_a_stranger(heard):
    served: SimpleQueue = SimpleQueue()
    with Listener(("127.0.0.1", 0)) as listener:
        welcome(listener, b"key", served.put, patience_s=0.2)
        with Client(listener.address, authkey=b"key") as caller:
            honest = served.get(timeout=10)
            assert not honest.poll(0.5)
            caller.send_bytes(b"at last")
            assert honest.recv_bytes() == b"at last"
            honest.close()
