"""One pass over one TrainJob: look at the caches, plan, carry the plan out.

Every write may be repeated: names are deterministic, deletes and patches say which object or version they mean.
So a pass that is cut off anywhere is finished by the next one.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import RepeatError
from trainjob_operator.trainjob.actions import Plan
from trainjob_operator.trainjob.api_errors import NameTakenError, refused
from trainjob_operator.trainjob.conditions import State
from trainjob_operator.trainjob.events import event_for
from trainjob_operator.trainjob.observation.diagnosis import unexplained
from trainjob_operator.trainjob.observation.observed import Invalid, Valid, observe
from trainjob_operator.trainjob.observation.observed_job import ObservedJob, observed_job
from trainjob_operator.trainjob.observation.observed_pods import ObservedPods, looked_at, warnings
from trainjob_operator.trainjob.plan import Settings, broken, plan, refused_status
from trainjobs.api.pod_contract import LABELS
from trainjobs.kube.client import KubeClient
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
    Resource,
    key_of,
    resource_of,
)
from trainjobs.kube.transport import ApiError, TransportError

SHARED: Final = (SERVICE_ACCOUNTS, ROLE_BINDINGS)
"""What all TrainJobs of a namespace use together."""

log = logging.getLogger(__name__)


class Counting(Protocol):
    """Counts what ends."""

    def look(self, item: Object) -> None:
        """One is so, as the cache keeps it."""

    def gone(self, key: Key) -> None:
        """There is none of this name any more."""


View = Callable[[Object], Object]


def as_it_is(item: Object) -> Object:
    """A TrainJob is one."""
    return item


@dataclass(frozen=True, slots=True)
class TrainJobReconciler:
    """What a pass needs; passes over different keys run side by side."""

    client: KubeClient
    trainjobs: Cache
    jobs: Cache
    guards: Mapping[Resource, Cache]
    """Of what stands around a Job: whether it is there and does its work."""
    settings: Settings
    ends: Counting
    identity: str
    """Who says so in Events."""
    now: Callable[[], datetime]
    resource: Resource = TRAINJOBS
    """The kind that it looks after."""
    view: View = as_it_is
    """An object of that kind as a TrainJob; the caches hold such."""

    def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds until the next one that is needed anyway. Raises TransportError and
        RepeatError; the pass is then to be repeated."""
        raw = self.trainjobs.get(key)
        if raw is None:
            self.ends.gone(key)
        else:
            self.ends.look(raw)
        if raw is None or (_is_going(raw) and not self._is_held(raw, key)):
            return None  # what belongs to it is collected by Kubernetes
        now = self.now()
        try:
            return self._pass(raw, key, now)
        except (TransportError, RepeatError):
            raise
        except Exception as error:
            self._report_own_fault(error, raw, key, now)
            raise

    def _is_held(self, going: Object, key: Key) -> bool:
        """Whether somebody's finalizer keeps a TrainJob that was deleted, and with it its Job, at work."""
        job = self._job(key)
        return job is not None and not job.deleting and job.owner == going["metadata"]["uid"]

    def _pass(self, raw: Object, key: Key, now: datetime) -> float | None:
        observed = observe(raw, self._job(key), now)
        plan = self._plan(observed, key)
        if _is_going(raw):
            plan = replace(plan, keep=(), delete_trainjob=False)
        if plan.create:
            whole = self.client.get(self.resource, key)
            if whole is None:
                return 1.0  # its end is about to be heard of
            if self.trainjobs.put(whole):
                return 0.0  # it has changed meanwhile
            observed = observe(self.view(whole), self._job(key), now)
            plan = self._plan(observed, key)
        try:
            self._carry_out(plan, observed.raw, key)
        except (ApiError, NameTakenError) as error:
            state = refused(error)
            if state is not None:
                self._report_refusal(state, observed, key)
            if state is None or not state.is_end or not plan.create:
                raise
            log.info("%s: refused as long as it is as it is: %s", key, error)
            return None  # its change wakes us; to repeat it would only cost the others
        is_changed = bool(plan.create) or plan.patch_job is not None
        is_changed |= self._show(plan, observed.raw, key, now)
        is_changed |= self._keep(plan, key)
        if plan.patch_job is not None and not contains(self.jobs.get(key), plan.patch_job):
            raise RepeatError("somebody changes its Job at once")
        # Our own writes are in the caches already, so their events will wake nobody: look again.
        return 0.0 if is_changed else plan.requeue_after_s

    def _report_own_fault(self, error: Exception, raw: Object, key: Key, now: datetime) -> None:
        try:
            job = self._job(key)
        except Exception:  # it is what the pass broke over, then
            job = None
        plan = broken(raw, job, error, now)
        self._carry_out(plan, raw, key)
        self._show(plan, raw, key, now)

    def _report_refusal(self, state: State, observed: Valid | Invalid, key: Key) -> None:
        """Put into the status what its owner can mend."""
        if status := refused_status(observed, state):
            self._write_status(status, observed.raw, key, observed.now)

    def _job(self, key: Key) -> ObservedJob | None:
        return observed_job(self.jobs.get(key))

    def _plan(self, observed: Valid | Invalid, key: Key) -> Plan:
        first = plan(observed, _new_token, self.settings)
        if not first.wants_pods or observed.job is None or isinstance(observed, Invalid):
            return first
        pods = self._pods(observed.job, key, first.expected_pods)
        return plan(replace(observed, pods=pods), _new_token, self.settings)

    def _pods(self, job: ObservedJob, key: Key, expected: int) -> ObservedPods:
        labels = f"{LABELS[self.resource.kind]}={key.name}"
        pods = looked_at(job.uid, self.client.pages(PODS, key.namespace, labels))
        about = unexplained(pods, expected, key.name) if expected else None
        if about is None:
            return ObservedPods(pods)
        kind, name = about
        fields = f"type=Warning,regarding.kind={kind},regarding.name={name}"
        return ObservedPods(pods, warnings(self.client.pages(EVENTS, key.namespace, fields=fields)))

    def _carry_out(self, plan: Plan, raw: Object, key: Key) -> None:
        """All but the status."""
        is_new = not raw.get("status")
        for item in plan.create:
            self._make(item, is_new)
        job = self.jobs.get(key)
        if plan.patch_job is not None and job is not None:
            version = {"resourceVersion": job["metadata"]["resourceVersion"]}
            metadata = {**plan.patch_job.get("metadata", {}), **version}
            self.jobs.put(self.client.patch(JOBS, key, {**plan.patch_job, "metadata": metadata}))
        if plan.delete_job and job is not None:
            self.client.delete(JOBS, key, job["metadata"]["uid"])
        if plan.delete_trainjob:
            self.client.delete(self.resource, key, raw["metadata"]["uid"])

    def _keep(self, plan: Plan, key: Key) -> bool:
        """Make again what is gone or changed; whether the Job went with it. It has nothing to do with the TrainJob's
        state, so a refusal is only repeated."""
        is_changed = False
        for item in plan.keep:
            if item["kind"] == SECRETS.kind:
                is_changed |= self._keep_secret(item, key)
            elif resource_of(item) in SHARED:
                self._make(item, is_new=False)
            elif not self._is_intact(item, key):
                log.warning("%s: its %s was deleted or edited, and is made again", key, item["kind"])
                self._make(item, is_new=False)
                if not self._is_intact(item, key):
                    raise RepeatError(f"somebody changes its {item['kind']} at once")
        return is_changed

    def _is_intact(self, item: Object, key: Key) -> bool:
        return bool((self.guards[resource_of(item)].get(key) or {}).get("intact"))

    def _keep_secret(self, item: Object, key: Key) -> bool:
        """Pods that are there have the token that is lost, so all begin again, with a new one."""
        job = self.jobs.get(key)
        if not self.client.ensure(item) or job is None:
            return False
        log.warning("%s: its Secret was deleted; its pods begin again with a new one", key)
        self.client.delete(JOBS, key, job["metadata"]["uid"])
        return True

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
        if not _same_owner(known, item) or known.get("roleRef") != item.get("roleRef"):
            raise NameTakenError(f"{resource.kind} {key} belongs to another object; it has to go first")
        cache = self.guards.get(resource)
        is_right = contains(known, item) and (cache is None or cache.projection(known)["intact"])
        if resource is not JOBS and not is_right:
            known = self.client.apply(item)
        if cache is not None:
            cache.put(known)
        if resource is JOBS:
            self.jobs.put(self._labelled(known, key))

    def _labelled(self, job: Object, key: Key) -> Object:
        """The Job with the label by which it is watched: somebody may have taken it off."""
        label = LABELS[self.resource.kind]
        if job["metadata"].get("labels", {}).get(label) == key.name:
            return job
        log.warning("%s: the label of its Job was taken off or edited, and is set again", key)
        version = {"resourceVersion": job["metadata"]["resourceVersion"]}
        job = self.client.patch(JOBS, key, {"metadata": {**version, "labels": {label: key.name}}})
        if job["metadata"].get("labels", {}).get(label) != key.name:
            raise RepeatError("somebody takes the label off its Job at once")
        return job

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

    def _show(self, plan: Plan, raw: Object, key: Key, now: datetime) -> bool:
        """Write the plan's status, if there is one; whether that changed it."""
        return (
            bool(plan.status) and not plan.delete_trainjob and self._write_status(plan.status, raw, key, now)
        )

    def _write_status(self, status: Object, raw: Object, key: Key, now: datetime) -> bool:
        """Write these fields, and an Event about them; whether that changed the TrainJob."""
        written = self._written(status, raw, key)
        is_changed = self.trainjobs.put(written)
        self.ends.look(self.trainjobs.projection(written))
        event = event_for(raw, status, self.identity, now)
        if event is not None:
            try:
                self.client.create(event)
            except TransportError as error:
                is_normal = isinstance(error, ApiError) and error.is_namespace_terminating
                level = logging.INFO if is_normal else logging.WARNING
                log.log(level, "%s: event %s not written: %s", key, event["reason"], error)
        return is_changed

    def _written(self, status: Object, raw: Object, key: Key) -> Object:
        """The TrainJob with these fields. A run that writes all the time keeps nobody from saying how it is: what it
        wrote meanwhile the next pass goes by. An end waits for its last word, since no pass follows it."""
        try:
            return self.client.patch_status(self.resource, key, raw["metadata"]["resourceVersion"], status)
        except ApiError as conflict:
            if conflict.status != 409 or "completionTime" in status:
                raise
            try:
                return self.client.patch_status_meanwhile(self.resource, key, raw, status)
            except ApiError:
                raise conflict from None


def _is_going(item: Object) -> bool:
    return "deletionTimestamp" in item["metadata"]


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def contains(known: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there, and not what is to be None; the API server adds defaults."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        return all(contains(known.get(name), value) for name, value in wanted.items())
    if isinstance(known, list) and isinstance(wanted, list):
        return len(known) == len(wanted) and all(map(contains, known, wanted))
    return bool(known == wanted)


def _same_owner(known: Object, item: Object) -> bool:
    wanted = {owner["uid"] for owner in item["metadata"].get("ownerReferences", ())}
    return wanted <= {owner["uid"] for owner in known["metadata"].get("ownerReferences", ())}
