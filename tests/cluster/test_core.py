"""The operator's core against a real API server: answers, refusals, watches, the Lease."""

import threading
import time

import pytest
from testbed.kubectl import Kubectl

from manifests import manifest
from trainjob_operator.core.cache import Cache
from trainjob_operator.core.leader_election import Elector
from trainjob_operator.core.reflector import Reflector
from trainjobs.kube.client import KubeClient
from trainjobs.kube.own_trainjob import NotOurs, OwnTrainJob
from trainjobs.kube.resources import LEASES, SERVICES, TRAINJOBS, Key
from trainjobs.kube.transport import ApiError, HttpTransport, TransportError


def service(team: Kubectl, name: str = "web", port: int = 80):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": team.namespace, "labels": {"for": "test"}},
        "spec": {"clusterIP": "None", "ports": [{"name": "web", "port": port}]},
    }


def trainjob(team: Kubectl):
    return manifest(metadata={"namespace": team.namespace})


def eventually(holds, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


def test_applying_twice_changes_nothing_the_second_time(team: Kubectl, client: KubeClient):
    first = client.apply(service(team))
    assert client.apply(service(team))["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert client.apply(service(team, port=81))["spec"]["ports"][0]["port"] == 81


def test_a_status_is_written_beside_what_others_write_and_not_over_what_they_change(
    team: Kubectl, client: KubeClient
):
    key = Key(team.namespace, "mnist")
    client.create(trainjob(team))
    known = client.patch(TRAINJOBS, key, {"status": {"restarts": 1}}, "status")
    client.patch(TRAINJOBS, key, {"status": {"restarts": 2}}, "status")
    says = {"conditions": [{"type": "Running", "status": "True", "reason": "Running", "message": "training",
                            "lastTransitionTime": "2026-11-21T10:00:00Z"}]}  # fmt: skip
    written = client.patch_status_meanwhile(TRAINJOBS, key, known, says)
    assert written["status"]["restarts"] == 2
    assert written["status"]["conditions"] == says["conditions"]
    for refused in (known, {**written, "metadata": {**written["metadata"], "uid": "another"}}):
        with pytest.raises(ApiError, match="422"):
            client.patch_status_meanwhile(TRAINJOBS, key, refused, {"conditions": []})
    client.patch(TRAINJOBS, key, {"spec": {"suspend": True}})
    with pytest.raises(ApiError, match="422"):
        client.patch_status_meanwhile(TRAINJOBS, key, written, {"conditions": []})


def test_what_is_not_there_is_none_and_a_refusal_has_its_words(team: Kubectl, client: KubeClient):
    key = Key(team.namespace, "web")
    assert client.get(SERVICES, key) is None
    client.create(service(team))
    with pytest.raises(ApiError) as caught:
        client.create(service(team))
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")
    assert 'services "web" already exists' in caught.value.message


def test_a_namespace_that_is_going_is_known_by_the_cause_of_a_refusal(team: Kubectl, client: KubeClient):
    held = {"name": "held", "finalizers": ["test.trainjobs.dev/hold"]}
    team.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    team("delete", "namespace", team.namespace, "--wait=false")
    with pytest.raises(ApiError, match="is being terminated") as caught:
        client.create(service(team))
    assert caught.value.is_namespace_terminating
    team(
        "patch",
        "configmap",
        "held",
        "--type=json",
        '--patch=[{"op": "remove", "path": "/metadata/finalizers"}]',
    )


def test_a_status_patch_is_refused_when_the_object_has_changed(team: Kubectl, client: KubeClient):
    made = client.create(trainjob(team))
    key, version = Key(team.namespace, "mnist"), made["metadata"]["resourceVersion"]
    client.patch_status(TRAINJOBS, key, version, {"restarts": 1})
    with pytest.raises(ApiError) as caught:
        client.patch_status(TRAINJOBS, key, version, {"restarts": 2})
    assert caught.value.status == 409


def test_a_delete_spares_a_successor_of_the_same_name(team: Kubectl, client: KubeClient):
    key = Key(team.namespace, "web")
    old = client.create(service(team))["metadata"]["uid"]
    client.delete(SERVICES, key, old)
    client.create(service(team))
    client.delete(SERVICES, key, old)
    assert client.get(SERVICES, key) is not None
    client.delete(SERVICES, Key(team.namespace, "nothing"), old)


def test_a_long_list_comes_complete_in_pages(team: Kubectl, client: KubeClient, monkeypatch):
    monkeypatch.setattr("trainjobs.kube.client.PAGE", 3)
    for number in range(7):
        client.create(service(team, f"web-{number}"))
    assert len(client.list(SERVICES, team.namespace, "for=test").items) == 7


def test_a_cache_follows_the_server_and_our_own_writes_are_there_at_once(team: Kubectl, client: KubeClient):
    cache, changed, stop = Cache(), [], threading.Event()
    reflector = Reflector(client, SERVICES, cache, changed.append, labels="for=test")
    thread = threading.Thread(target=reflector.run, args=[stop])
    thread.start()
    try:
        assert reflector.synced.wait(120)
        key = Key(team.namespace, "web")
        made = client.create(service(team))
        cache.put(made)
        assert cache.get(key) is not None
        team("annotate", "service", "web", "note=1")
        eventually(lambda: cache.get(key)["metadata"].get("annotations") == {"note": "1"})
        assert "managedFields" not in cache.get(key)["metadata"]
        team("delete", "service", "web")
        eventually(lambda: cache.get(key) is None)
        assert key in changed
    finally:
        stop.set()
        client.create(service(team, "wake"))  # ends the watch's wait
        thread.join(120)
    assert not thread.is_alive()


def test_a_pod_follows_its_own_trainjob_until_another_has_its_name(team: Kubectl, client: KubeClient):
    made = client.create(trainjob(team))
    key, uid = Key(team.namespace, "mnist"), made["metadata"]["uid"]
    own = OwnTrainJob(client, key, uid)
    assert own.read()["metadata"]["uid"] == uid
    restarts = []

    def seen(document):
        restarts.append(document.get("status", {}).get("restarts"))
        if restarts[-1] is None:
            own.patch_status({"restarts": 1})
        else:
            client.delete(TRAINJOBS, key, uid)

    with pytest.raises(NotOurs, match="deleted"):
        own.follow(seen)
    assert restarts == [None, 1]
    client.create(trainjob(team))
    with pytest.raises(NotOurs, match="made anew"):
        own.patch_status({"restarts": 1})


def test_a_silent_watch_is_given_up(client: KubeClient):
    version = client.list(SERVICES, labels="for=nobody").resource_version
    began = time.monotonic()
    with pytest.raises(TransportError, match="Read timed out"):
        list(client.watch(SERVICES, "", "for=nobody", version, timeout_s=60, silence_s=1))
    assert time.monotonic() - began < 50


def test_who_may_not_is_told_so(team: Kubectl, transport: HttpTransport):
    anonymous = HttpTransport(transport.url, transport._pool, dict)
    with pytest.raises(ApiError) as caught:
        KubeClient(anonymous).list(SERVICES)
    assert caught.value.status in (401, 403)


def test_a_server_that_is_not_there_is_a_transport_error(transport: HttpTransport):
    transport.url = "https://127.0.0.1:1"
    with pytest.raises(TransportError):
        KubeClient(transport).list(SERVICES)


def test_one_of_two_operators_leads_and_the_other_follows_on_release(team: Kubectl, client: KubeClient):
    key = Key(team.namespace, "trainjobs-operator")
    first, second = Elector(client, key, "first"), Elector(client, key, "second")
    first.step()
    second.step()
    assert (first.leading.is_set(), second.leading.is_set()) == (True, False)
    stop = threading.Event()
    stop.set()
    first.run(stop)
    second.step()
    assert second.leading.is_set()
    assert client.get(LEASES, key)["spec"]["leaseTransitions"] == 1
