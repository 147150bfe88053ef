"""Keys that wait for a worker: each once, never with two workers, later after a failure, and tenants in turn."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from trainjobs.kube.backoff import Backoff

K = TypeVar("K", bound=Hashable)

BACKOFF = Backoff(first_s=0.01, longest_s=60.0)
"""A minute at most: so long may a TrainJob wait after the API server is back."""


class WorkQueue(Generic[K]):
    """A deduplicating queue. A key that is added while a worker has it is handed out again afterwards.

    Tenants take turns: whose key is the only one of its tenant waits for one key of each other tenant at most, however
    many those have.
    """

    def __init__(
        self,
        tenant: Callable[[K], Hashable] = lambda key: None,
        backoff: Backoff = BACKOFF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tenant` says whose a key is; without it all are one's."""
        self._tenant = tenant
        self._backoff = backoff
        self._clock = clock
        self._changed = threading.Condition()
        self._ready: OrderedDict[Hashable, deque[K]] = OrderedDict()  # by tenant, the next one first
        self._waiting: set[K] = set()  # those in _ready, and those to be put there when their worker is done
        self._working: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}  # the earliest entry of a key in _later; others are stale
        self._serial = 0
        self._failures: dict[K, int] = {}
        self._closed = False

    def __len__(self) -> int:
        """Keys that are ready or will be once their worker is done; not those that are to wait."""
        with self._changed:
            return len(self._waiting)

    def add(self, key: K) -> None:
        """Hand the key out as soon as a worker is free."""
        with self._changed:
            self._add(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Hand the key out in so many seconds, or sooner if it is to come sooner already."""
        with self._changed:
            if delay_s <= 0:
                self._add(key)
                return
            due = self._clock() + delay_s
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                self._serial += 1
                heapq.heappush(self._later, (due, self._serial, key))
                self._changed.notify()

    def add_failed(self, key: K, at_least_s: float = 0.0) -> float:
        """Hand the key out again after a delay that grows with its failures; returns the delay."""
        with self._changed:
            self._failures[key] = self._failures.get(key, 0) + 1
            delay_s = max(at_least_s, self._backoff.after(self._failures[key]))
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """The key's work succeeded: its next failure is its first."""
        with self._changed:
            self._failures.pop(key, None)

    def get(self, timeout_s: float | None = None) -> K | None:
        """The next key, which is the caller's until `done`. None: closed, or nothing came in time."""
        deadline = None if timeout_s is None else self._clock() + timeout_s
        with self._changed:
            while True:
                next_due = self._take_due()
                if self._closed:
                    return None
                if self._ready:
                    key = self._take_ready()
                    self._waiting.discard(key)
                    self._working.add(key)
                    return key
                now = self._clock()
                if deadline is not None and now >= deadline:
                    return None
                until = min((moment for moment in (deadline, next_due) if moment is not None), default=None)
                self._changed.wait(None if until is None else max(0.0, until - now))

    def done(self, key: K) -> None:
        """The worker has finished with the key, well or badly."""
        with self._changed:
            self._working.discard(key)
            if key in self._waiting:
                self._make_ready(key)

    def close(self) -> None:
        """Every `get` returns None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _add(self, key: K) -> None:
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._make_ready(key)

    def _make_ready(self, key: K) -> None:
        self._ready.setdefault(self._tenant(key), deque()).append(key)
        self._changed.notify()

    def _take_ready(self) -> K:
        """The next tenant's first key; its others wait until all tenants had their turn."""
        tenant, keys = self._ready.popitem(last=False)
        key = keys.popleft()
        if keys:
            self._ready[tenant] = keys
        return key

    def _take_due(self) -> float | None:
        """Make ready what is due; returns when the next key will be."""
        now = self._clock()
        while self._later:
            due, _, key = self._later[0]
            if self._due.get(key) != due:
                heapq.heappop(self._later)
            elif due <= now:
                heapq.heappop(self._later)
                del self._due[key]
                self._add(key)
            else:
                return due
        return None
