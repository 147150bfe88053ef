"""The Indexed Job of a TrainJob: Kubernetes creates, replaces, suspends and counts its pods."""

from __future__ import annotations

import hashlib
import json

from trainjob_operator.trainjob.objects import names, pod
from trainjob_operator.trainjob.observation.excerpt import abridged
from trainjobs.api import MUTABLE, TrainJob
from trainjobs.api.pod_contract import CONTAINER
from trainjobs.exits import FINAL, Exit
from trainjobs.kube.resources import JOBS, Object


def indexed_job(job: TrainJob, default_image: str) -> Object:
    """The Job as it is created."""
    nodes = job.spec.trainer.num_nodes
    metadata, asked = names.metadata(job, job.metadata.name), job.spec.pod_template.metadata
    metadata["labels"] = {**names.asked(job), **metadata["labels"]}
    suspension = names.suspension(job.spec.suspend or queued(job))
    metadata["annotations"] = {
        **asked.annotations,
        **suspension["metadata"]["annotations"],
        names.MADE_FROM: digest(job),
    }
    managed_by = job.spec.managed_by
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimit": job.spec.backoff_limit,
            **suspension["spec"],
            **({"managedBy": managed_by} if managed_by is not None else {}),
            "podReplacementPolicy": "Failed",
            "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": pod.template(job, default_image),
        },
    }


def queued(job: TrainJob) -> bool:
    """Whether Kueue decides when the Job runs."""
    return names.QUEUE in job.metadata.labels


def digest(job: TrainJob) -> str:
    """Of what a Job cannot follow: a Job with another digest has to be made anew. Defaults do not count, so a
    field that a later version adds changes no digest; nor does it whether the TrainJob is whole or an excerpt."""
    fixed = {
        name: value
        for name, value in job.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True).items()
        if name not in MUTABLE
    }
    return hashlib.sha256(json.dumps(abridged(fixed), sort_keys=True).encode()).hexdigest()[:16]


def _failure_rules() -> list[Object]:
    def on_exit(action: str, codes: tuple[int, ...]) -> Object:
        return {
            "action": action,
            "onExitCodes": {
                "containerName": CONTAINER,
                "operator": "In",
                "values": [int(code) for code in codes],
            },
        }

    return [
        # Preemption, eviction, a drained or lost node: not the run's fault.
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        on_exit("Ignore", (Exit.INTERRUPTED,)),  # no failed attempt
        on_exit("FailJob", FINAL),
    ]
