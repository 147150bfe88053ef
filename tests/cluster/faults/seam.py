"""The operator's transport, and what can go wrong there.

A seam belongs to one life of an operator and to one TrainJob or TrainSweep: lists and watches of the whole cluster
are narrowed to it, so many operators work side by side in one cluster and none sees another's. It answers for the
Lease itself: every operator here leads.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping

from faults.recording import Recording

from trainjobs.kube.resources import Key, Object
from trainjobs.kube.transport import ApiError, HttpTransport, TransportError

FAULTY_S = 20.0
"""How long requests are refused; as the operator waits ever longer, not much more happens in a longer time."""
NARROWED = ("/v1alpha1/trainjobs", "/v1alpha1/trainsweeps", "/v1/jobs", "/v1/services", "/v1/networkpolicies")
"""Ends of the paths of lists of the whole cluster."""
MISSED_S = 0.3
"""Seconds between an event that is not delivered and the answer "too old" that makes the operator list again."""


class Fault:
    """No fault at all. A fault outlives the operators of its run."""

    struck = 0
    """How often it did something."""

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()} {vars(self)}"

    def before(self, method: str, path: str) -> None:
        """Raise, and the server does not see the request."""

    def after(self, method: str, path: str) -> None:
        """Raise, and the server has carried the request out, but nobody hears of it."""

    def lag_s(self, plural: str) -> float:
        """How late events are delivered."""
        return 0.0

    def misses(self) -> bool:
        """Whether the next event is not delivered."""
        return False


class KilledError(TransportError):
    """This process is to end here."""


class Kill(Fault):
    """The operator is killed before or after its n-th write."""

    def __init__(self, when: str, nth: int) -> None:
        self.when = when
        self.left = nth

    def before(self, method: str, path: str) -> None:
        if method != "GET":
            self.left -= 1
            self._strike("before")

    def after(self, method: str, path: str) -> None:
        if method != "GET":
            self._strike("after")

    def _strike(self, when: str) -> None:
        if when == self.when and self.left == 0 and not self.struck:
            self.struck += 1
            raise KilledError(f"killed {when} a write")


class Miss(Fault):
    """The n-th event is never delivered, nor what follows until the operator has listed again."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self._lock = threading.Lock()

    def misses(self) -> bool:
        with self._lock:
            self.left -= 1
            self.struck += self.left == 0
            return self.left == 0


class Late(Fault):
    """Events of some kinds are late: the operator's cache is stale."""

    struck = 1

    def __init__(self, *plurals: str, seconds: float = 1.0) -> None:
        self.plurals = plurals
        self.seconds = seconds

    def lag_s(self, plural: str) -> float:
        return self.seconds if plural in self.plurals else 0.0


class Refuse(Fault):
    """For some seconds a share of all requests, drawn by a seed, gets an error instead of an answer."""

    def __init__(self, error: TransportError, seed: int, share: float = 0.2) -> None:
        self.error = error
        self.share = share
        self.random = random.Random(seed)
        self.ends = float("inf")

    def before(self, method: str, path: str) -> None:
        is_conflict = isinstance(self.error, ApiError) and self.error.status == 409
        if not (is_conflict and method == "GET"):
            self._strike()

    def _strike(self) -> None:
        self.ends = min(self.ends, time.monotonic() + FAULTY_S)
        if time.monotonic() < self.ends and self.random.random() < self.share:
            self.struck += 1
            raise self.error


class TimeOut(Refuse):
    """A share of all requests is lost, half of them on the way back."""

    def __init__(self, seed: int) -> None:
        super().__init__(TransportError("timed out"), seed, share=0.1)

    def after(self, method: str, path: str) -> None:
        self._strike()


class Seam:
    """One operator's transport."""

    def __init__(self, transport: HttpTransport, recording: Recording, key: Key, fault: Fault) -> None:
        self.dead = threading.Event()
        """Set when the operator is killed: nothing passes any more."""
        self.writes: list[str] = []
        self.delivered: list[str] = []
        self._transport = transport
        self._timeline = recording.of(key)
        self._key = key
        self._fault = fault

    def kill(self) -> None:
        self.dead.set()
        self._timeline.wake()

    def request(self, method, path, query=None, body=None, content_type="application/json"):
        if "/leases" in path:
            return _lease(method, body)
        if self.dead.is_set():
            raise KilledError("dead")
        query = query or {}
        if path.endswith(NARROWED):
            path, query = self._narrowed(path), {**query, "fieldSelector": f"metadata.name={self._key.name}"}
        try:
            self._fault.before(method, path)
            answer = self._transport.request(method, path, query, body, content_type)
            if method != "GET":
                self.writes.append(f"{method} {path}".replace(self._key.name, "mnist"))
            self._fault.after(method, path)
        except KilledError:
            self.kill()
            raise
        return answer

    def stream(self, path, query, silence_s) -> Iterator[Object]:
        self._fault.before("GET", path)
        plural, since, position = path.rsplit("/", 1)[-1], int(query["resourceVersion"]), 0
        while True:
            heard = self._next(position)
            position += 1
            if heard.resource.plural != plural or heard.version <= since or not _has(heard.event, query):
                continue
            self._wait(heard.at + self._fault.lag_s(plural))
            if self._fault.misses():
                self._wait(time.monotonic() + MISSED_S)
                raise ApiError(410, "Expired", "too old resource version")
            self.delivered.append(f"{heard.event['type']} {plural} {_conditions(heard.event['object'])}")
            yield heard.event

    def _next(self, position: int):
        with self._timeline.changed:
            while len(self._timeline.events) <= position and not self.dead.is_set():
                self._timeline.changed.wait()
        if self.dead.is_set():
            raise KilledError("dead")
        return self._timeline.events[position]

    def _wait(self, until: float) -> None:
        self.dead.wait(max(0.0, until - time.monotonic()))

    def _narrowed(self, path: str) -> str:
        head, _, plural = path.rpartition("/")
        return f"{head}/namespaces/{self._key.namespace}/{plural}"


def _has(event: Object, query: Mapping[str, str]) -> bool:
    """Whether the label that is asked for is there, if one is."""
    label = query.get("labelSelector", "")
    return not label or label in event["object"]["metadata"].get("labels", {})


def _conditions(item: Object) -> list[str]:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return [f"{each['type']}={each['status']} {each.get('reason')}" for each in conditions]


def _lease(method: str, body: Object | None) -> Object:
    if method == "GET":
        raise ApiError(404, "NotFound", "no lease")
    return body or {}
