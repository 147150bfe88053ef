"""What one pass goes by: a TrainJob, its Job and the time. Each is read once, when the pass begins."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjob_operator.trainjob.observation.observed_pods import ObservedPods
from trainjobs.api import TrainJob
from trainjobs.api.kinds import KIND
from trainjobs.api.manifest import SpecError, parse
from trainjobs.api.reading import read_status
from trainjobs.api.status import TrainJobStatus, clipped
from trainjobs.kube.resources import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A TrainJob and its Job at one moment."""

    raw: Object
    """The TrainJob as the API server has it."""
    status: TrainJobStatus
    """Its status, as far as it can be read."""
    job: ObservedJob | None
    """The Job of its name, whoever made it. None: there is none."""
    now: datetime
    """With a time zone."""

    @property
    def has_own_job(self) -> bool:
        """Whether the Job belongs to this very TrainJob."""
        return self.job is not None and self.job.owner == self.raw["metadata"]["uid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid(Observed):
    """One whose spec cannot be used."""

    problem: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid(Observed):
    """One whose spec can be used."""

    trainjob: TrainJob
    """The TrainJob, typed; its status is in `status` alone."""
    problem: str = ""
    """Why something of its spec is left out; empty: nothing is."""
    pods: ObservedPods | None = None
    """The Job's pods. None: not looked at."""

    @property
    def summary(self) -> str:
        """What a sweep says of its end; empty: nothing, as a TrainJob."""
        said = (self.raw.get("status") or {}).get("summary")
        return clipped(said) if isinstance(said, str) else ""


def observe(raw: Object, job: ObservedJob | None, now: datetime) -> Valid | Invalid:
    """The TrainJob `raw` with its Job. One that has a Job goes on with criteria that cannot be read, since the run
    keeps those that it has; its configuration is the run's alone, and its pods are made. Of one that has started, or
    has ended, whatever else a later version refuses is left out: verbs and deadlines hold all the same."""
    status = read_status(raw.get("status"), now)
    is_over = status.completion_time is not None
    is_started = job is not None and job.owner == raw["metadata"]["uid"] and status.start_time is not None
    document, problem = {**raw, "kind": KIND, "status": None}, ""
    trainjob = _read(document, lenient=job is not None or is_over)
    if isinstance(trainjob, SpecError):
        problem = str(trainjob)
        if not (is_started or is_over):
            return Invalid(raw=raw, status=status, job=job, now=now, problem=problem)
        trainjob = _what_can_be_read(document, job.num_pods if job else 1)
    if (kind := raw.get("kind", KIND)) != KIND:
        trainjob = trainjob.model_copy(update={"kind": kind})
    return Valid(raw=raw, status=status, job=job, now=now, trainjob=trainjob, problem=problem)


def _what_can_be_read(document: Object, num_pods: int) -> TrainJob:
    """The TrainJob with those fields that can be read by themselves, and defaults for the others. No pod is made of
    it, so what cannot be left out may be anything."""
    spec: Object = {"trainer": {"entrypoint": "unknown:unknown", "maxEpochs": 1, "numNodes": num_pods}}
    for name, value in document["spec"]["trainer"].items():
        without = {"maxEpochs"} if name == "maxSteps" else set()
        trainer = {known: spec["trainer"][known] for known in spec["trainer"].keys() - without}
        spec = _with(document, spec, "trainer", {**trainer, name: value})
    for name, value in document["spec"].items():
        if name != "trainer":
            spec = _with(document, spec, name, value)
    return parse({**document, "spec": spec})


def _with(document: Object, spec: Object, name: str, value: Any) -> Object:
    """The spec with that field, if it can be read so."""
    with suppress(SpecError):
        parse({**document, "spec": {**spec, name: value}})
        return {**spec, name: value}
    return spec


def _read(document: Object, lenient: bool) -> TrainJob | SpecError:
    try:
        return parse(document)
    except SpecError as error:
        if not lenient:
            return error
        problem = error
    spec = document["spec"]
    of_the_run = {"stopping": {}, "trainer": {**spec["trainer"], "config": {}}}
    its_pods: tuple[Object, ...] = ({}, {"podTemplate": {}})
    for of_its_pods in its_pods:
        with suppress(SpecError):
            return parse({**document, "spec": {**spec, **of_the_run, **of_its_pods}})
    return problem
