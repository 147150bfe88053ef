"""Many jobs at once: made, awaited and ended in the same way whether a TrainJob stands behind them or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TypeVar

from testbed.fakenodes import PREFIX

from manifests import manifest
from trainjob_operator.core.cache import Cache
from trainjob_operator.core.reflector import Reflector
from trainjob_operator.trainjob.objects import dependents
from trainjob_operator.trainjob.objects.job import indexed_job
from trainjobs.api.manifest import parse
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import JOBS, PODS, TRAINJOBS, Key, Object, Resource, key_of, resource_of
from trainjobs.kube.transport import ApiError, TransportError

T = TypeVar("T")

HANDS = 8
"""Requests at a time, as those of a few busy users."""
PATIENCE_S = 1800
NODES = 2


class Tally:
    """Counts the objects of some namespaces for which something holds, with the operator's own list and watch."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        namespaces: Collection[str],
        holds: Callable[[Object], bool],
    ) -> None:
        self._namespaces = namespaces
        self._changed = threading.Condition()
        self._found: set[Key] = set()
        self._cache = Cache(lambda item: {"metadata": item["metadata"], "holds": holds(item)})
        self._stop = threading.Event()
        reflector = Reflector(client, resource, self._cache, self._count)
        threading.Thread(target=reflector.run, args=[self._stop], daemon=True).start()
        if not reflector.synced.wait(PATIENCE_S):
            raise TimeoutError(f"no list of {resource.plural}")

    def close(self) -> None:
        """Count no more; the watch ends with its next event."""
        self._stop.set()

    def reach(self, count: int) -> None:
        """Return when so many are counted."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._found) >= count, PATIENCE_S):
                raise TimeoutError(f"{len(self._found)} of {count} after {PATIENCE_S} s")

    def _count(self, key: Key) -> None:
        item = self._cache.get(key)
        with self._changed:
            if item is not None and item["holds"] and key.namespace in self._namespaces:
                self._found.add(key)
            else:
                self._found.discard(key)
            self._changed.notify_all()


def keys(kind: str, count: int, per_namespace: int) -> list[Key]:
    """Names for so many jobs of a kind, in as many namespaces as needed."""
    return [Key(f"{kind}-{index // per_namespace}", f"job-{index}") for index in range(count)]


def trainjob(key: Key) -> Object:
    return manifest(key.name, metadata={"namespace": key.namespace}, trainer={"numNodes": NODES})


def by_hand(key: Key) -> tuple[Object, ...]:
    """What the operator would make, but without an owner; the Job is the last."""
    item = trainjob(key)
    job = parse({**item, "metadata": {**item["metadata"], "uid": "none"}})
    made = (
        dependents.secret(job, "token"),
        dependents.service(job),
        dependents.network_policy(job),
        indexed_job(job, "testbed.local/host:1"),
    )
    for item in made:
        del item["metadata"]["ownerReferences"]
    made[-1]["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    return made


def remove(client: KubeClient, items: Iterable[Object]) -> None:
    for item in items:
        client.transport.request("DELETE", resource_of(item).path(*key_of(item)))


def all_at_once(work: Callable[[T], object], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(work, items))


def speak(client: KubeClient, key: Key) -> None:
    """What the run of a TrainJob writes once it trains."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    status = {"startTime": now, "training": {"epoch": 1, "step": 1, "lastUpdateTime": now}}
    client.transport.request(
        "PATCH",
        TRAINJOBS.path(*key, "status"),
        {},
        {"status": status},
        "application/merge-patch+json",
    )


def end(client: KubeClient, driver: Key) -> None:
    """It exits with 0."""
    client.patch(PODS, driver, {"metadata": {"annotations": {f"{PREFIX}/exit-code": "0"}}})


def drivers(client: KubeClient, namespaces: Iterable[str]) -> list[Key]:
    """The pods 0."""
    index = "batch.kubernetes.io/job-completion-index=0"
    return [key_of(item) for namespace in namespaces for item in client.list(PODS, namespace, index).items]


def runs(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")


def is_true(kind: str) -> Callable[[Object], bool]:
    """Whether an object's condition is true."""

    def holds(item: Object) -> bool:
        conditions = item.get("status", {}).get("conditions") or ()
        return any(each["type"] == kind and each["status"] == "True" for each in conditions)

    return holds


def clear(client: KubeClient, namespaces: Sequence[str], resource: Resource) -> None:
    """Delete all of a kind with what belongs to it; return when its pods and Jobs are gone."""
    deadline = time.monotonic() + PATIENCE_S
    for kind, namespace in product((resource, JOBS, PODS), namespaces):
        while client.transport.request("GET", kind.path(namespace), {"limit": "1"})["items"]:
            if kind is resource:
                delete_some(client, namespace, resource)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{namespace} does not empty")
            time.sleep(0.1)


def delete_some(client: KubeClient, namespace: str, resource: Resource) -> None:
    """Delete all of a kind, or as many as fit into the time of one request."""
    path, body = resource.path(namespace), {"propagationPolicy": "Background"}
    try:
        client.transport.request("DELETE", path, {}, body)
    except ApiError:
        raise
    except TransportError:
        return
