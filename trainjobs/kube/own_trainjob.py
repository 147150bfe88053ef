"""A training pod's own TrainJob: read, follow, and write the status fields that a run owns.

The pod's ServiceAccount may do no more: get and watch TrainJobs, patch their status.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key, Object, Resource
from trainjobs.kube.transport import ApiError, TransportError

log = logging.getLogger(__name__)

T = TypeVar("T")

WATCH_S: Final = 240
"""Seconds after which the API server ends a watch, and another begins."""
SILENCE_S: Final = WATCH_S + 30.0
"""Seconds without an event after which a watch counts as dead."""
BACKOFF: Final = Backoff(first_s=2.0, longest_s=4.0)
"""Between two tries: short, since the next answer may be the one that says stop."""
CONFLICTS: Final = 5
"""Others' writes in a row that a write of ours gives way to."""


class NotOurs(Exception):
    """The TrainJob is gone, or another one has its name: trying again is of no use."""


class OwnTrainJob:
    """One TrainJob by the identity that Kubernetes gives to a pod.

    Args:
        uid: of the TrainJob that this pod belongs to.
        resource: the kind, where it is another, such as TrainSweep.
    """

    def __init__(
        self,
        client: KubeClient,
        key: Key,
        uid: str,
        backoff: Backoff = BACKOFF,
        resource: Resource = TRAINJOBS,
    ) -> None:
        self._resource = resource
        self._client = client
        self._key = key
        self._uid = uid
        self._backoff = backoff
        self._version: str | None = None
        """The newest that is known of ours; both the thread that follows and the one that writes learn it."""

    def read(self) -> Object:
        """The TrainJob. Waits for an API server that does not answer, or refuses this pod; raises NotOurs."""
        return self._insist(self._now)

    def patch_status(self, fields: Object) -> None:
        """Merge fields into the status; None deletes one. Raises TransportError, and NotOurs.

        The status subresource compares no uid, so a patch goes to a version that was ours: one that comes too late
        fails, instead of reaching a new TrainJob of the same name.
        """
        for _ in range(CONFLICTS):
            version = self._version or self._now()["metadata"]["resourceVersion"]
            try:
                self._ours(self._client.patch_status(self._resource, self._key, version, fields))
                return
            except ApiError as error:
                if error.status != 409:
                    raise
                self._version, conflict = None, error
        raise conflict

    def _now(self) -> Object:
        found = self._client.get(self._resource, self._key)
        if found is None:
            raise NotOurs(f"there is no {self._resource.kind} {self._key.name}")
        return self._ours(found)

    def follow(self, seen: Callable[[Object], object]) -> None:
        """Call `seen` with the TrainJob now and after each change, until it is gone; raises NotOurs then."""
        while True:
            self._insist(lambda: self._watch(seen))

    def _watch(self, seen: Callable[[Object], object]) -> None:
        name = self._key.name
        only = f"metadata.name={name}"
        for event in self._client.watch(
            self._resource, self._key.namespace, "", "", WATCH_S, SILENCE_S, fields=only
        ):
            if event["type"] == "DELETED":
                raise NotOurs(f"{self._resource.kind} {name} was deleted")
            if event["type"] != "BOOKMARK":
                seen(self._ours(event["object"]))

    def _insist(self, attempt: Callable[[], T]) -> T:
        """Try until it succeeds, whatever one answer was. 401 and 403 are no end: rights may be away for a while, as
        when the operator is installed anew."""
        failures = 0
        while True:
            try:
                return attempt()
            except NotOurs:
                raise
            except Exception as error:
                failures += 1
                unknown = not isinstance(error, TransportError)
                kind, name = self._resource.kind, self._key.name
                log.warning("%s %s: %s; trying again", kind, name, error, exc_info=unknown)
                asked = error.retry_after_s if isinstance(error, ApiError) else None
                time.sleep(self._backoff.after(failures, asked))

    def _ours(self, document: Object) -> Object:
        if document["metadata"]["uid"] != self._uid:
            raise NotOurs(f"{self._resource.kind} {self._key.name} was deleted and made anew")
        self._version = document["metadata"]["resourceVersion"]
        return document
