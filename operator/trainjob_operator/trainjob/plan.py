"""What should be, given what is: a function of values. The loop makes it so.

Level, not edge: what woke the operator is not asked. Everything is computed from the TrainJob, its Job and the
time, so a missed event, a restart or a second operator changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.actions import Desired
from trainjob_operator.trainjob.active_job import Upkeep, starting
from trainjob_operator.trainjob.conditions import Kind, State
from trainjob_operator.trainjob.diagnosis import Seen
from trainjob_operator.trainjob.objects import dependents, pod
from trainjob_operator.trainjob.objects.job import indexed_job
from trainjob_operator.trainjob.observed_job import JobFacts
from trainjob_operator.trainjob.outcome import stopped_while_idle
from trainjob_operator.trainjob.status_fields import at_the_end, changes, idle_since, text, written
from trainjobs.api import TrainJob
from trainjobs.api.manifest import SpecError, parse
from trainjobs.api.reading import read_status
from trainjobs.api.reasons import Reason
from trainjobs.api.status import TrainJobStatus, clipped
from trainjobs.kube.resources import Object

_OUTLIVES: Final = (
    "spec.podTemplate.spec.containers: {} would keep the pods after the training, since a pod ends with its last "
    "container; put what runs beside it into initContainers with restartPolicy: Always"
)
NAME_TAKEN_S: Final = 5
"""Seconds until another look at a Job that has to go first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the cluster's administrator chooses."""

    default_image: str = "trainjobs:latest"
    """Image of TrainJobs that name none."""


def desired(
    raw: Object,
    facts: JobFacts | None,
    now: datetime,
    token: str,
    settings: Settings,
    seen: Seen | None = None,
) -> Desired:
    """What should be of one TrainJob.

    Args:
        raw: the TrainJob as the API server has it.
        facts: its Job. None: there is none.
        now: with a time zone.
        token: a new Ray token, used if there is none yet.
        settings: the administrator's.
        seen: the Job's pods. None: not asked for; ask and call again if `wants_pods`.
    """
    if "deletionTimestamp" in raw["metadata"]:
        return Desired()
    status = read_status(raw.get("status"), now)
    job, problem = _readable(raw, status, lenient=facts is not None)
    if job is None:
        return _invalid(raw, status, problem, now)
    if status.completion_time is not None:
        return _after_the_end(job, status.completion_time, facts, now)
    if facts is not None and facts.owner != job.metadata.uid:
        return _name_taken(raw, job, now)
    if facts is None or facts.deleting:
        return _without_job(raw, job, status, facts, token, settings, now)
    return Upkeep(raw, job, status, facts, now, seen).result()


def _invalid(raw: Object, status: TrainJobStatus, problem: str, now: datetime) -> Desired:
    state = State(Kind.FAILED, Reason.INVALID_SPEC, problem)
    return Desired(status=changes(raw, written(state, status, raw["metadata"].get("generation"), now)))


def broken(raw: Object, facts: JobFacts | None, cause: Exception, now: datetime) -> Desired:
    """What is done for a TrainJob over which the operator itself stumbles: whoever asks for the nodes gets them,
    and the first condition says why nothing else happens. It uses as little as it can of what may be odd."""
    if "completionTime" in (raw.get("status") or {}):
        return Desired()  # an end that was shown stays
    suspend = raw["spec"].get("suspend", False)
    ours = facts is not None and facts.owner == raw["metadata"]["uid"] and not facts.finished
    known = (raw.get("status") or {}).get("conditions") or [
        {"type": Kind.RUNNING, "status": "Unknown", "lastTransitionTime": text(now)}
    ]
    said = f"the operator cannot work on this TrainJob, a fault of its own: {type(cause).__name__}: {cause}"
    told = {**known[0], "reason": Reason.OPERATOR_ERROR, "message": clipped(said)}
    return Desired(
        patch_job={"spec": {"suspend": suspend}}
        if ours and facts and not facts.held and facts.suspend != suspend
        else None,
        status=changes(raw, {"conditions": [told, *known[1:]]}),
    )


def _readable(raw: Object, status: TrainJobStatus, lenient: bool) -> tuple[TrainJob | None, str]:
    """The TrainJob, or what is wrong with it. `lenient`: a running one with criteria that cannot be read goes
    on, since the run keeps those that it has; its configuration is the run's alone."""
    document = {**raw, "status": None}
    try:
        job = parse(document)
    except SpecError as error:
        if not lenient:
            return None, str(error)
        try:
            trainer = {**raw["spec"]["trainer"], "config": {}}
            job = parse({**document, "spec": {**raw["spec"], "stopping": {}, "trainer": trainer}})
        except SpecError:
            return None, str(error)
    return job.model_copy(update={"status": status}), ""


def _without_job(
    raw: Object,
    job: TrainJob,
    status: TrainJobStatus,
    facts: JobFacts | None,
    token: str,
    settings: Settings,
    now: datetime,
) -> Desired:
    if job.spec.stop is not None:
        fields = written(stopped_while_idle(job.spec.stop), status, job.metadata.generation, now)
        return Desired(status=changes(raw, fields | at_the_end(job, status, now)))
    news = changes(raw, written(starting(job), status, job.metadata.generation, now))
    if facts is not None:  # the old one is on its way out; its end wakes us
        return Desired(status=news, requeue_after_s=NAME_TAKEN_S)
    if beside := pod.beside(job):
        return _invalid(raw, status, _OUTLIVES.format(", ".join(beside)), now)
    return Desired(
        create=(
            *dependents.runner(job),
            dependents.secret(job, token),
            dependents.service(job),
            dependents.network_policy(job),
            indexed_job(job, settings.default_image),
        ),
        status=news,
    )


def refusal(raw: Object, state: State, has_job: bool, now: datetime) -> Object:
    """The status of a TrainJob for which something was refused. What keeps it from having a Job has the startup
    deadline, as what keeps the Job from its pods."""
    status = read_status(raw.get("status"), now)
    if status.completion_time is not None:  # an end that was shown stays
        return {}
    job, _ = _readable(raw, status, lenient=True)
    made = datetime.fromisoformat(raw["metadata"]["creationTimestamp"])
    since = idle_since(status) or (now if status.conditions else made)
    fields: Object = {}
    waits_s = 0 if job is None or has_job or state.is_end else job.spec.startup_deadline_seconds
    if job is not None and waits_s and now - since >= timedelta(seconds=waits_s):
        state, fields = replace(state, kind=Kind.FAILED), at_the_end(job, status, now)
    return changes(raw, written(state, status, raw["metadata"].get("generation"), now) | fields)


def _name_taken(raw: Object, job: TrainJob, now: datetime) -> Desired:
    name = job.metadata.name
    state = State(
        Kind.STARTING, Reason.NAME_TAKEN, f"a Job named {name} belongs to another object; it has to go first"
    )
    return Desired(status=refusal(raw, state, has_job=False, now=now), requeue_after_s=NAME_TAKEN_S)


def _after_the_end(job: TrainJob, ended: datetime, facts: JobFacts | None, now: datetime) -> Desired:
    """Nothing changes any more, but the record goes when its time has come."""
    left_over = facts is not None and facts.owner == job.metadata.uid and not facts.finished
    delete_job = left_over and facts is not None and not facts.deleting and facts.ending_since is None
    if job.spec.ttl_seconds_after_finished is None:
        return Desired(delete_job=delete_job)
    left_s = (ended + timedelta(seconds=job.spec.ttl_seconds_after_finished) - now).total_seconds()
    if left_s <= 0:
        return Desired(delete_trainjob=True)
    return Desired(delete_job=delete_job, requeue_after_s=left_s)
