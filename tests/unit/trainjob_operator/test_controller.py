"""One step of a controller, whatever its kind, and what becomes of its key."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import BROKEN_S, Controller, Host, RepeatError, WatchSource
from trainjob_operator.core.loop_metrics import LoopMetrics
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key
from trainjobs.kube.transport import ApiError, TransportError

KEY = Key("team", "a")


class Scripted:
    """A reconciler whose passes end as the test says."""

    def __init__(self) -> None:
        self.outcomes: list[float | Exception | None] = []
        self.passes: list[Key] = []

    def reconcile(self, key):
        self.passes.append(key)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def reconciler():
    return Scripted()


@pytest.fixture
def controller(script, reconciler):
    registry = CollectorRegistry()
    host = Host(KubeClient(script), "operator-1", ("east", "west"), registry, LoopMetrics(registry))
    controller = Controller("thing", host, (WatchSource(TRAINJOBS, Cache()),), reconciler)
    controller.count = lambda name, **labels: registry.get_sample_value(
        f"controller_runtime_{name}", {"controller": "thing", **labels}
    )
    return controller


@pytest.mark.parametrize(
    ("outcome", "result", "errors"),
    [
        (None, "success", 0),
        (5.0, "requeue_after", 0),
        (TransportError("no answer"), "error", 1),
        (RepeatError("a name is taken"), "error", 1),
    ],
)
def test_each_pass_is_counted_by_how_it_ended(controller, reconciler, outcome, result, errors):
    reconciler.outcomes = [outcome]
    controller.step(KEY)
    assert controller.count("reconcile_total", result=result) == 1
    assert (controller.count("reconcile_errors_total") or 0) == errors


def test_a_conflict_is_no_error(controller, reconciler, api_error):
    reconciler.outcomes = [api_error(409)]
    controller.step(KEY)
    assert controller.count("reconcile_total", result="requeue") == 1
    assert not controller.count("reconcile_errors_total")


def test_in_a_namespace_that_is_going_nothing_is_repeated_and_nobody_is_warned(
    controller, reconciler, caplog
):
    going = ApiError(403, "Forbidden", "team is being terminated", causes=("NamespaceTerminating",))
    reconciler.outcomes = [going]
    with caplog.at_level("WARNING"):
        controller.step(KEY)
    assert controller.queue.get(0.2) is None
    assert caplog.records == []
    assert not controller.count("reconcile_errors_total")


def test_a_key_comes_back_when_its_pass_asks_for_it(controller, reconciler):
    reconciler.outcomes = [0.0]
    controller.step(KEY)
    assert controller.queue.get(0.0) == KEY


def test_a_server_that_asks_for_time_gets_it(controller, reconciler, api_error, monkeypatch):
    waits = []
    monkeypatch.setattr(controller.queue, "add_after", lambda key, delay_s: waits.append(delay_s))
    reconciler.outcomes = [
        api_error(429, retry_after_s=40),
        TransportError("no answer"),
        None,
        api_error(500),
    ]
    for _ in range(4):
        controller.step(KEY)
    assert waits[0] == 40
    assert all(wait_s < 1 for wait_s in waits[1:])  # it has succeeded meanwhile: not the third failure


def test_a_pass_that_breaks_stops_no_worker_and_is_repeated_later(controller, reconciler, monkeypatch):
    waits = []
    monkeypatch.setattr(controller.queue, "add_after", lambda key, delay_s: waits.append((key, delay_s)))
    other = Key("team", "b")

    def last(key):
        if key == other:
            controller.queue.close()
        raise ZeroDivisionError

    monkeypatch.setattr(reconciler, "reconcile", last)
    controller.queue.add(KEY)
    controller.queue.add(other)
    controller.work(threading.Event())
    assert waits == [(KEY, BROKEN_S), (other, BROKEN_S)]
    assert controller.count("reconcile_errors_total") == 2


def test_each_namespace_is_watched_by_itself_and_all_have_to_be_known(controller, script):
    script.answers = [{"metadata": {"resourceVersion": "5"}, "items": []} for _ in range(2)]
    for reflector in controller.reflectors:
        assert not controller.synced
        reflector.step(threading.Event())
    assert controller.synced
    assert [path.split("/")[5] for _, path, _, _ in script.asked] == ["east", "west"]


def test_a_namespace_without_rights_holds_up_no_other(controller, script, reconciler, api_error):
    (east, west) = controller.reflectors
    stop = threading.Event()
    script.answers += [api_error(403), {"metadata": {"resourceVersion": "10"}, "items": []}]
    east.step(stop)
    assert not controller.synced
    west.step(stop)
    assert controller.synced
    reconciler.outcomes = [None]
    controller.step(Key("east", "a"))  # heard of, say, by one watch that is allowed
    assert reconciler.passes == []
    controller.step(Key("west", "a"))
    assert reconciler.passes == [Key("west", "a")]


def test_without_rights_anywhere_nothing_is_known(controller, script, api_error):
    script.answers += [api_error(403), api_error(403)]
    for reflector in controller.reflectors:
        reflector.step(threading.Event())
    assert not controller.synced


def test_ten_thousand_objects_of_one_namespace_delay_another_by_a_pass_of_each_worker(controller):
    workers, passes = 8, []

    class Flooded:
        def reconcile(self, key):
            passes.append(key.namespace)
            if len(passes) == 100:
                controller.queue.add(Key("small", "a"))
            if len(passes) == 200:
                controller.queue.close()

    controller.reconciler = Flooded()
    for number in range(10_000):
        controller.queue.add(Key("large", f"a-{number}"))
    threads = [threading.Thread(target=controller.work, args=[threading.Event()]) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passes.index("small") <= 100 + workers
