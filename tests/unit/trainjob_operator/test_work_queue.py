"""Each key once, one worker a key, later after failures."""

import threading

import pytest

from trainjob_operator.core.work_queue import WorkQueue
from trainjobs.kube.backoff import Backoff


@pytest.fixture
def queue(clock):
    return WorkQueue(backoff=Backoff(1, 60, random=lambda: 1.0), clock=clock)


@pytest.fixture
def shared():
    """Of several tenants: the first letter says whose a key is."""
    return WorkQueue(tenant=lambda key: key[0])


def take(queue):
    return queue.get(timeout_s=0)


def test_a_key_added_twice_is_handed_out_once(queue):
    queue.add("a")
    queue.add("a")
    assert (take(queue), take(queue)) == ("a", None)


def test_keys_come_in_the_order_of_their_first_addition(queue):
    for key in "abab":
        queue.add(key)
    assert [take(queue), take(queue)] == ["a", "b"]


def test_tenants_take_turns_however_many_keys_one_of_them_has(shared):
    for number in range(10_000):
        shared.add(f"a{number}")
    assert [take(shared) for _ in range(8)] == [f"a{number}" for number in range(8)]
    shared.add("b0")
    shared.add("b1")
    shared.add("c0")
    assert [take(shared) for _ in range(6)] == ["a8", "b0", "c0", "a9", "b1", "a10"]
    assert len(shared) == 9_989


def test_a_key_that_changed_under_its_worker_waits_behind_those_of_its_tenant(shared):
    shared.add("a0")
    shared.add("a1")
    assert take(shared) == "a0"
    shared.add("a0")
    shared.done("a0")
    assert (take(shared), take(shared), take(shared)) == ("a1", "a0", None)


def test_a_key_is_never_with_two_workers(queue):
    queue.add("a")
    assert take(queue) == "a"
    queue.add("a")
    assert take(queue) is None
    queue.done("a")
    assert take(queue) == "a"


def test_a_key_that_did_not_change_meanwhile_does_not_come_back(queue):
    queue.add("a")
    take(queue)
    queue.done("a")
    assert take(queue) is None


def test_a_delayed_key_comes_when_it_is_due(queue, clock):
    queue.add_after("a", 5)
    assert take(queue) is None
    clock.now += 5
    assert take(queue) == "a"


@pytest.mark.parametrize("delays", [(5, 9), (9, 5)])
def test_of_two_delays_the_earlier_counts_and_the_other_is_dropped(queue, clock, delays):
    for delay in delays:
        queue.add_after("a", delay)
    clock.now += 5
    assert take(queue) == "a"
    queue.done("a")
    clock.now += 10
    assert take(queue) is None


def test_a_due_key_waits_for_its_worker(queue, clock):
    queue.add("a")
    take(queue)
    queue.add_after("a", 1)
    clock.now += 1
    assert take(queue) is None
    queue.done("a")
    assert take(queue) == "a"


def test_failures_of_one_key_delay_only_that_key_and_success_forgets_them(queue):
    assert [queue.add_failed("a") for _ in range(3)] == [1, 2, 4]
    assert queue.add_failed("b") == 1
    queue.forget("a")
    assert queue.add_failed("a") == 1


def test_a_server_that_asks_for_time_gets_it(queue):
    assert queue.add_failed("a", at_least_s=30) == 30


def test_closing_wakes_every_worker():
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    workers = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(5)
    assert got == [None] * 3


def test_eight_workers_finish_a_thousand_keys_without_ever_sharing_one():
    queue: WorkQueue[int] = WorkQueue()
    busy: set[int] = set()
    rounds = dict.fromkeys(range(50), 0)
    shared: list[int] = []
    everything = threading.Event()

    def work() -> None:
        while (key := queue.get()) is not None:
            if key in busy:
                shared.append(key)
            busy.add(key)
            rounds[key] += 1
            if rounds[key] < 20:
                queue.add(key)
            busy.discard(key)
            queue.done(key)
            if all(count >= 20 for count in rounds.values()):
                everything.set()

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for key in rounds:
        queue.add(key)
    assert everything.wait(20)
    queue.close()
    for worker in workers:
        worker.join(5)
    assert (shared, set(rounds.values())) == ([], {20})
