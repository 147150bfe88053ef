"""Two kinds in one operator: the second one is a reconciler of its own and one entry."""

import threading
import time
import urllib.request
from dataclasses import dataclass, field

import pytest
from stored_api import Store

from trainjob_operator.app import KINDS, Operator, Options
from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import Controller, WatchSource
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key, Resource

GREETINGS = Resource("example.dev/v1", "Greeting", "greetings")
KEY = Key("team", "mnist")


@dataclass
class Greeter:
    """The second kind: each of its objects is greeted in its status."""

    client: KubeClient
    greetings: Cache
    passes: list[Key] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def reconcile(self, key):
        self.passes.append(key)
        self.may_go_on.wait(30)
        raw = self.greetings.get(key)
        if raw is not None and "status" not in raw:
            version = raw["metadata"]["resourceVersion"]
            self.greetings.put(
                self.client.patch_status(GREETINGS, key, version, {"said": f"hello {key.name}"})
            )


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def put(store):
    """`put(resource, spec)`: the object of KEY, as a user makes it."""

    def make(resource, spec):
        metadata = {"namespace": KEY.namespace, "name": KEY.name, "uid": resource.plural, "generation": 1,
                    "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}  # fmt: skip
        item = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
        store.request("POST", resource.path(KEY.namespace), {}, item)

    return make


@pytest.fixture
def greeter(store):
    return Greeter(KubeClient(store), Cache())


@pytest.fixture
def operator(store, greeter):
    """Runs with both kinds."""

    def greetings(host, _):
        return Controller("greeting", host, (WatchSource(GREETINGS, greeter.greetings),), greeter)

    options = Options(
        "operator-1", Key("system", "lease"), workers=2, host="127.0.0.1", metrics_port=0, health_port=0
    )
    operator, stop = Operator(store, options, (*KINDS, greetings)), threading.Event()
    thread = threading.Thread(target=operator.run, args=[stop])
    thread.start()
    yield operator
    greeter.may_go_on.set()
    stop.set()
    store.ended.set()
    thread.join(30)
    assert not thread.is_alive()


def eventually(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def status(store, resource):
    return store.objects[resource.path(*KEY)].get("status") or {}


@pytest.mark.usefixtures("operator")
def test_two_kinds_of_one_name_do_not_disturb_each_other(store, put, greeter):
    put(GREETINGS, {})
    eventually(lambda: greeter.passes == [KEY])
    put(TRAINJOBS, {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}})
    eventually(lambda: "conditions" in status(store, TRAINJOBS))  # though a pass over the other is not over
    assert "/apis/batch/v1/namespaces/team/jobs/mnist" in store.objects
    assert status(store, GREETINGS) == {}
    greeter.may_go_on.set()
    eventually(lambda: status(store, GREETINGS) == {"said": "hello mnist"})
    assert "said" not in status(store, TRAINJOBS)


def test_a_change_of_one_kind_is_no_work_for_the_other(store, put, greeter, operator):
    greeter.may_go_on.set()
    put(GREETINGS, {})
    eventually(lambda: status(store, GREETINGS) == {"said": "hello mnist"})
    put(TRAINJOBS, {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}, "stop": {}})
    eventually(lambda: "completionTime" in status(store, TRAINJOBS))
    store.request("DELETE", TRAINJOBS.path(*KEY))
    (trainjobs, _, greetings) = operator.controllers
    eventually(lambda: not len(trainjobs.queue) and not len(greetings.queue))
    assert len(greeter.passes) <= 2  # it is there, and its status is written
    assert status(store, GREETINGS) == {"said": "hello mnist"}


def test_keys_of_a_follower_wait_for_nothing(store, put, greeter, operator):
    greeter.may_go_on.set()
    eventually(operator.elector.leading.is_set)
    put(TRAINJOBS, {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}})
    options = Options("operator-2", Key("system", "lease"), host="127.0.0.1", metrics_port=0, health_port=0)
    follower, stop = Operator(store, options), threading.Event()
    thread = threading.Thread(target=follower.run, args=[stop])
    thread.start()
    try:
        eventually(lambda: len(follower.controllers[0].queue) == 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{follower.metrics.port}/metrics") as answer:
            assert 'workqueue_depth{name="trainjob"} 0.0' in answer.read().decode()
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
