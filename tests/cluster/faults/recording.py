"""What the API server's watches have said since the start: each event once, kept apart by TrainJob and TrainSweep.

One real watch of each kind serves every operator of a test, so that hundreds of them cost no connection each, and
the test decides what an operator hears of it and when. It is also how the test itself awaits things.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from trainjobs.api.pod_contract import LABEL, SWEEP_LABEL
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import (
    JOBS,
    NETWORK_POLICIES,
    PODS,
    SERVICES,
    TRAINJOBS,
    TRAINSWEEPS,
    Key,
    Object,
    Resource,
    key_of,
)
from trainjobs.kube.transport import TransportError

LABELS = (LABEL, SWEEP_LABEL)
OWNED = (JOBS, SERVICES, NETWORK_POLICIES, PODS)
KINDS = (
    *((TRAINJOBS, ""), (TRAINSWEEPS, "")),
    *((resource, label) for resource in OWNED for label in LABELS),
)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event and when it arrived."""

    resource: Resource
    event: Object
    at: float

    @property
    def version(self) -> int:
        return int(self.event["object"]["metadata"]["resourceVersion"])


class Timeline:
    """All events about one TrainJob, its Job, what stands around it and its pods."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.events: list[Heard] = []
        self._now: dict[tuple[str, str], Object] = {}

    def add(self, heard: Heard) -> None:
        item = heard.event["object"]
        place = heard.resource.plural, item["metadata"]["name"]
        with self.changed:
            self.events.append(heard)
            self._now.pop(place, None)
            if heard.event["type"] != "DELETED":
                self._now[place] = item
            self.changed.notify_all()

    def await_(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait for a condition on `all` or `events`; whether it came in time."""
        with self.changed:
            return self.changed.wait_for(holds, within_s)

    def wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def all(self, resource: Resource) -> list[Object]:
        """What is there now."""
        return [item for (plural, _), item in self._now.items() if plural == resource.plural]

    def one(self, resource: Resource) -> Object | None:
        return next(iter(self.all(resource)), None)


class Recording:
    """The watches; for one session of tests."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._timelines: defaultdict[Key, Timeline] = defaultdict(Timeline)
        self._stopped = False

    def start(self) -> None:
        for resource, labels in KINDS:
            version = self._client.list(resource, labels=labels).resource_version
            threading.Thread(target=self._follow, args=[resource, labels, version], daemon=True).start()

    def stop(self) -> None:
        """Nothing that comes from now on is recorded; the threads end with the API server."""
        self._stopped = True

    def of(self, key: Key) -> Timeline:
        with self._lock:
            return self._timelines[key]

    def _follow(self, resource: Resource, labels: str, version: str) -> None:
        while not self._stopped:
            try:
                # The server ends a watch whose reader is slow; it goes on from the last event.
                for event in self._client.watch(resource, "", labels, version, timeout_s=3600, silence_s=300):
                    if self._stopped:
                        return
                    item = event["object"]
                    version = item["metadata"]["resourceVersion"]
                    self._add(resource, event, item)
            except TransportError:
                if not self._stopped:
                    raise

    def _add(self, resource: Resource, event: Object, item: Object) -> None:
        if event["type"] == "BOOKMARK":
            return
        labels = item["metadata"].get("labels", {}) if resource is PODS else {}
        name = next((labels[label] for label in LABELS if label in labels), None)
        key = Key(item["metadata"]["namespace"], name) if name else key_of(item)
        self.of(key).add(Heard(resource, event, time.monotonic()))
