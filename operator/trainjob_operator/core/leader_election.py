"""Who of several operators works: the one that holds the Lease. It only saves work; two at once do no harm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import LEASES, Key, Object
from trainjobs.kube.transport import TransportError

DURATION_S: Final = 15.0
"""Seconds after its last renewal for which others leave the Lease alone. All operators have the same: what a Lease
says of it may be anybody's."""
MOST_TRANSITIONS: Final = 2**31 - 1
"""More are no number for the API server, which then refuses every holder."""
RENEW_DEADLINE_S: Final = 10.0
"""Seconds without a renewal after which the holder stops working; less than the duration, so before another
one begins."""
RETRY: Final = Backoff(first_s=2.5, longest_s=2.5)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease as it was when this process first saw it so. Clocks of other machines are not compared."""

    record: tuple[object, object]
    """Holder and renewal time, as written there."""
    seen_at: float


def claim(lease: Object | None, key: Key, identity: str, expired: bool, now: datetime) -> Object | None:
    """The Lease to write so that `identity` holds it; None while another one does."""
    time_text = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if lease is None:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": _held(identity, time_text, time_text, 0),
        }
    spec = lease.get("spec") or {}
    holder, transitions = spec.get("holderIdentity"), spec.get("leaseTransitions") or 0
    if holder == identity:
        return {
            **lease,
            "spec": _held(identity, spec.get("acquireTime") or time_text, time_text, transitions),
        }
    if holder and not expired:
        return None
    return {**lease, "spec": _held(identity, time_text, time_text, min(transitions + 1, MOST_TRANSITIONS))}


def released(lease: Object) -> Object:
    """The Lease to write so that nobody holds it."""
    return {**lease, "spec": {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}


class Elector:
    """Takes part in the election; `run` is for a thread of its own."""

    def __init__(
        self,
        client: KubeClient,
        key: Key,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        retry: Backoff = RETRY,
    ) -> None:
        self.leading = threading.Event()
        """Set while this process holds the Lease."""
        self._client = client
        self._key = key
        self._identity = identity
        self._clock = clock
        self._now = now
        self._retry = retry
        self._sighting: Sighting | None = None
        self._renewed_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Stand for election until elected, and hold the Lease until `stop` or until it is lost; then return."""
        while not stop.is_set():
            was_leading = self.leading.is_set()
            self.step()
            if was_leading and not self.leading.is_set():
                return
            stop.wait(self._retry.after(1))
        self._release()

    def step(self) -> None:
        """One look at the Lease."""
        try:
            held: bool | None = self._claim()
        except TransportError as error:
            log.warning("lease %s: %s", self._key, error)
            held = None  # unknown: the last renewal counts for a while
        if held:
            self._renewed_at = self._clock()
            if not self.leading.is_set():
                log.info("lease %s: leading as %s", self._key, self._identity)
            self.leading.set()
        elif self.leading.is_set() and (
            held is False or self._clock() - self._renewed_at >= RENEW_DEADLINE_S
        ):
            log.error("lease %s: lost", self._key)
            self.leading.clear()

    def _claim(self) -> bool:
        """Whether this process holds the Lease now."""
        lease = self._client.get(LEASES, self._key)
        wanted = claim(lease, self._key, self._identity, self._is_expired(lease), self._now())
        if wanted is None:
            return False
        if lease is None:
            self._client.create(wanted)
        else:
            self._client.replace(wanted)
        return True

    def _is_expired(self, lease: Object | None) -> bool:
        spec = (lease or {}).get("spec") or {}
        record = (spec.get("holderIdentity"), spec.get("renewTime"))
        if self._sighting is None or self._sighting.record != record:
            self._sighting = Sighting(record, self._clock())
        return self._clock() - self._sighting.seen_at >= DURATION_S

    def _release(self) -> None:
        if not self.leading.is_set():
            return
        self.leading.clear()
        try:
            lease = self._client.get(LEASES, self._key)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                self._client.replace(released(lease))
        except TransportError as error:
            log.warning("lease %s: not released: %s", self._key, error)


def _held(identity: str, acquired: str, renewed: str, transitions: int) -> Object:
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(DURATION_S),
        "acquireTime": acquired,
        "renewTime": renewed,
        "leaseTransitions": transitions,
    }
