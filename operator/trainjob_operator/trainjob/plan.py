"""What a pass is to do, given what is: a function of values.

Level, not edge: what woke the operator is not asked. Everything is computed from the TrainJob, its Job and the
time, so a missed event, a restart or a second operator changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.actions import Plan
from trainjob_operator.trainjob.active_job import ActiveJob, starting
from trainjob_operator.trainjob.conditions import Kind, State, going_on
from trainjob_operator.trainjob.objects import dependents, names
from trainjob_operator.trainjob.objects.job import indexed_job
from trainjob_operator.trainjob.observation.observed import Invalid, Valid
from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjob_operator.trainjob.outcome import stopped_while_idle
from trainjob_operator.trainjob.status_fields import (
    changes,
    final_fields,
    idle_since,
    state_fields,
    timestamp,
)
from trainjobs.api import TrainJob
from trainjobs.api.reasons import Reason
from trainjobs.api.status import clipped
from trainjobs.kube.resources import Object

NAME_TAKEN_S: Final = 5
"""Seconds until another look at a Job that has to go first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the cluster's administrator chooses."""

    default_image: str = "trainjobs:latest"
    """Image of TrainJobs that name none."""


def plan(observed: Valid | Invalid, new_token: Callable[[], str], settings: Settings) -> Plan:
    """What a pass over one TrainJob is to do.

    Args:
        observed: the TrainJob and its Job. Look at its pods and ask again if the plan wants them.
        new_token: makes a Ray token, for where there may be none.
        settings: the administrator's.
    """
    if isinstance(observed, Invalid):
        return _invalid(observed)
    job = observed.job
    if observed.status.completion_time is not None:
        return _after_the_end(observed, observed.status.completion_time)
    if job is not None and not observed.has_own_job:
        return _name_taken(observed)
    if job is None or job.deleting:
        return _without_job(observed, new_token, settings)
    active = ActiveJob(observed, job)
    found = active.plan()
    if job.finished or job.ending_since is not None or found.delete_job:
        return found
    may_lack_token = found.expected_pods and observed.status.start_time is not None
    keep = _around(observed.trainjob, new_token() if may_lack_token else None)
    may_lack_rights = found.expected_pods or active.should_be_heard
    return replace(found, keep=(*keep, *(dependents.runner(observed.trainjob) if may_lack_rights else ())))


def broken(raw: Object, job: ObservedJob | None, cause: Exception, now: datetime) -> Plan:
    """What is done for a TrainJob over which the operator itself stumbles: whoever asks for the nodes gets them, and
    the first condition says why nothing else happens. It uses as little as it can of what may be odd."""
    if "completionTime" in (raw.get("status") or {}):
        return Plan()  # an end that was shown stays
    message = (
        f"the operator cannot work on this TrainJob, a fault of its own: {type(cause).__name__}: {cause}"
    )
    suspend = raw["spec"].get("suspend", False)
    is_ours = job is not None and job.owner == raw["metadata"]["uid"] and not job.finished
    known = (raw.get("status") or {}).get("conditions") or [
        {"type": Kind.RUNNING, "status": "Unknown", "lastTransitionTime": timestamp(now)}
    ]
    first = {**known[0], "reason": Reason.OPERATOR_ERROR, "message": clipped(message)}
    return Plan(
        patch_job=names.suspension(suspend)
        if is_ours and job and not job.held and job.suspend != suspend
        else None,
        status=changes(raw, {"conditions": [first, *known[1:]]}),
    )


def refused_status(observed: Valid | Invalid, state: State) -> Object:
    """The status of a TrainJob for which something was refused. One that has a Job is what it is all the same; what
    keeps it from having one has the startup deadline, as what keeps the Job from its pods."""
    status, now = observed.status, observed.now
    if status.completion_time is not None:  # an end that was shown stays
        return {}
    made = datetime.fromisoformat(observed.raw["metadata"]["creationTimestamp"])
    since = idle_since(status) or (now if status.conditions else made)
    fields: Object = {}
    if observed.has_own_job:
        state = replace(state, kind=going_on(status.conditions))
    elif isinstance(observed, Valid) and not state.is_end:
        waits_s = observed.trainjob.spec.startup_deadline_seconds
        if now - since >= timedelta(seconds=waits_s):
            state, fields = replace(state, kind=Kind.FAILED), final_fields(observed)
    return changes(observed.raw, state_fields(state, observed) | fields)


def _around(trainjob: TrainJob, token: str | None) -> tuple[Object, ...]:
    """What a Job's pods need while they are there. Nobody may look whether the Secret is: it is tried with a new
    `token` when pods of a run that has trained are missing, which may be because of it."""
    beside = dependents.service(trainjob), dependents.network_policy(trainjob)
    return beside if token is None else (*beside, dependents.secret(trainjob, token))


def _invalid(observed: Invalid) -> Plan:
    """Its Job has not started, and goes, as with every change."""
    job = observed.job if observed.has_own_job else None
    is_left = job is not None and not job.finished
    state = State(Kind.FAILED, Reason.INVALID_SPEC, observed.problem)
    delete_job = is_left and job is not None and not job.deleting
    return Plan(delete_job=delete_job, status=changes(observed.raw, state_fields(state, observed)))


def _without_job(observed: Valid, new_token: Callable[[], str], settings: Settings) -> Plan:
    trainjob = observed.trainjob
    if trainjob.spec.stop is not None:
        fields = state_fields(stopped_while_idle(trainjob.spec.stop), observed)
        return Plan(status=changes(observed.raw, fields | final_fields(observed)))
    status = changes(observed.raw, state_fields(starting(trainjob), observed))
    if observed.job is not None:  # the old one is on its way out; its end wakes us
        return Plan(status=status, requeue_after_s=NAME_TAKEN_S)
    return Plan(
        create=(
            *dependents.runner(trainjob),
            dependents.secret(trainjob, new_token()),
            dependents.service(trainjob),
            dependents.network_policy(trainjob),
            indexed_job(trainjob, settings.default_image),
        ),
        status=status,
    )


def _name_taken(observed: Valid) -> Plan:
    name = observed.trainjob.metadata.name
    state = State(
        Kind.STARTING, Reason.NAME_TAKEN, f"a Job named {name} belongs to another object; it has to go first"
    )
    return Plan(status=refused_status(observed, state), requeue_after_s=NAME_TAKEN_S)


def _after_the_end(observed: Valid, completion_time: datetime) -> Plan:
    """Nothing changes any more, but the record goes when its time has come."""
    job, ttl_s = observed.job, observed.trainjob.spec.ttl_seconds_after_finished
    is_left = job is not None and observed.has_own_job and not job.finished
    delete_job = is_left and job is not None and not job.deleting and job.ending_since is None
    if ttl_s is None:
        return Plan(delete_job=delete_job)
    left_s = (completion_time + timedelta(seconds=ttl_s) - observed.now).total_seconds()
    if left_s <= 0:
        return Plan(delete_trainjob=True)
    return Plan(delete_job=delete_job, requeue_after_s=left_s)
