"""One pass over one TrainJob: look at the caches, ask what should be, make it so.

Every write may be repeated: names are deterministic, deletes and patches say which object or version they mean.
So a pass that is cut off anywhere is finished by the next one.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import RepeatError
from trainjob_operator.trainjob.actions import Desired
from trainjob_operator.trainjob.api_errors import NameTakenError, refused
from trainjob_operator.trainjob.diagnosis import Seen, glimpse, unexplained
from trainjob_operator.trainjob.events import notice
from trainjob_operator.trainjob.metrics import Metrics
from trainjob_operator.trainjob.objects.names import LABEL
from trainjob_operator.trainjob.observed_job import job_facts
from trainjob_operator.trainjob.plan import Settings, broken, desired, refusal
from trainjobs.kube.client import Client
from trainjobs.kube.resources import (
    EVENTS,
    JOBS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    TRAINJOBS,
    Key,
    Object,
    key_of,
    resource_of,
)
from trainjobs.kube.transport import ApiError, TransportError

SHARED: Final = (SERVICE_ACCOUNTS, ROLE_BINDINGS)
"""What all TrainJobs of a namespace use together."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainJobReconciler:
    """What a pass needs; passes over different keys run side by side."""

    client: Client
    trainjobs: Cache
    jobs: Cache
    settings: Settings
    metrics: Metrics
    identity: str
    """Who says so in Events."""
    now: Callable[[], datetime]

    def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds until the next one that is needed anyway. Raises TransportError and
        RepeatError; the pass is then to be repeated."""
        raw = self.trainjobs.get(key)
        if raw is None:
            return None  # what belongs to it is collected by Kubernetes
        now = self.now()
        try:
            return self._pass(raw, key, now)
        except (TransportError, RepeatError):
            raise
        except Exception as error:
            self._own_up(error, raw, key, now)
            raise

    def _pass(self, raw: Object, key: Key, now: datetime) -> float | None:
        wish = self._wish(raw, key, now)
        if wish.create:
            whole = self.client.get(TRAINJOBS, key)
            if whole is None:
                return 1.0  # its end is about to be heard of
            if self.trainjobs.put(whole):
                return 0.0  # it has changed meanwhile
            wish, raw = self._wish(whole, key, now), whole
        try:
            self._act(wish, raw, key)
        except (ApiError, NameTakenError) as error:
            self._explain(error, raw, key, now)
            raise
        news = bool(wish.create) or wish.patch_job is not None
        news |= self._told(wish, raw, key, now)
        # Our own writes are in the caches already, so their events will wake nobody: look again.
        return 0.0 if news else wish.requeue_after_s

    def _own_up(self, error: Exception, raw: Object, key: Key, now: datetime) -> None:
        wish = broken(raw, job_facts(self.jobs.get(key)), error, now)
        self._act(wish, raw, key)
        self._told(wish, raw, key, now)

    def _told(self, wish: Desired, raw: Object, key: Key, now: datetime) -> bool:
        return bool(wish.status) and not wish.delete_trainjob and self._show(wish.status, raw, key, now)

    def _wish(self, raw: Object, key: Key, now: datetime) -> Desired:
        facts, token = job_facts(self.jobs.get(key)), secrets.token_urlsafe(32)
        wish = desired(raw, facts, now, token, self.settings)
        if wish.wants_pods:
            seen = self._seen(key, wish.expected_pods)
            wish = desired(raw, facts, now, token, self.settings, seen)
        return wish

    def _seen(self, key: Key, expected_pods: int) -> Seen:
        pods = list(self.client.list(PODS, key.namespace, f"{LABEL}={key.name}", projection=glimpse).items)
        about = unexplained(pods, expected_pods, key.name) if expected_pods else None
        if about is None:
            return Seen(pods)
        kind, name = about
        fields = f"type=Warning,regarding.kind={kind},regarding.name={name}"
        return Seen(pods, list(self.client.list(EVENTS, key.namespace, fields=fields).items))

    def _act(self, wish: Desired, raw: Object, key: Key) -> None:
        is_new = not raw.get("status")
        for item in wish.create:
            self._make(item, is_new)
        job = self.jobs.get(key)
        if wish.patch_job is not None and job is not None:
            version = {"resourceVersion": job["metadata"]["resourceVersion"]}
            metadata = {**wish.patch_job.get("metadata", {}), **version}
            self.jobs.put(self.client.patch(JOBS, key, {**wish.patch_job, "metadata": metadata}))
        if wish.delete_job and job is not None:
            self.client.delete(JOBS, key, job["metadata"]["uid"])
        if wish.delete_trainjob:
            self.client.delete(TRAINJOBS, key, raw["metadata"]["uid"])

    def _make(self, item: Object, is_new: bool) -> None:
        """Make an object, or bring up to date what is ours already; what is as it should be costs no write.

        Of a new TrainJob hardly anything is there yet, so nobody asks first; what all of a namespace share is, and
        hardly ever changes.
        """
        resource, key = resource_of(item), key_of(item)
        if resource is SECRETS:
            self.client.ensure(item)
            return
        is_shared = resource in SHARED
        known = None if is_new and not is_shared else self.client.get(resource, key, fresh=not is_shared)
        if known is None:
            known = self._created(item)
        if not _same_owner(known, item):
            raise NameTakenError(f"{resource.kind} {key} belongs to another object; it has to go first")
        if resource is not JOBS and not contains(known, item):
            self.client.apply(item)
        if resource is JOBS:
            self.jobs.put(known)

    def _created(self, item: Object) -> Object:
        """The new object, or the one that was there before."""
        try:
            return self.client.create(item)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                known = self.client.get(resource_of(item), key_of(item))
                if known is not None:
                    return known
            raise

    def _explain(self, error: Exception, raw: Object, key: Key, now: datetime) -> None:
        """Put into the status what its owner can mend."""
        state = refused(error)
        news = refusal(raw, state, self.jobs.get(key) is not None, now) if state else {}
        if news:
            self._show(news, raw, key, now)

    def _show(self, status: Object, raw: Object, key: Key, now: datetime) -> bool:
        """Write the status; whether that changed it."""
        shown = self.client.patch_status(TRAINJOBS, key, raw["metadata"]["resourceVersion"], status)
        news = self.trainjobs.put(shown)
        if "completionTime" in status:
            self.metrics.ended(self.trainjobs.projection(shown))
        event = notice(raw, status, self.identity, now)
        if event is not None:
            try:
                self.client.create(event)
            except TransportError as error:
                log.warning("%s: event %s not written: %s", key, event["reason"], error)
        return news


def contains(known: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; the API server adds defaults."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        return all(name in known and contains(known[name], value) for name, value in wanted.items())
    if isinstance(known, list) and isinstance(wanted, list):
        return len(known) == len(wanted) and all(map(contains, known, wanted))
    return bool(known == wanted)


def _same_owner(known: Object, item: Object) -> bool:
    wanted = {owner["uid"] for owner in item["metadata"].get("ownerReferences", ())}
    return wanted <= {owner["uid"] for owner in known["metadata"].get("ownerReferences", ())}
