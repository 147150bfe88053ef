"""The pod template of a training node.

Its container finds in the environment what it has to know (see `environment`), in `/trainjobs` the user's code
and the checkpoints' volume, and passes the restricted Pod Security Standard.
"""

from __future__ import annotations

from typing import Final

from trainjob_operator.trainjob.objects import names
from trainjob_operator.trainjob.objects.strategic_merge import merged
from trainjobs.api import TrainJob
from trainjobs.api.pod_contract import ADDRESS, COMMAND, CONTAINER, INDEX, INDEX_VARIABLE, PodEnvironment
from trainjobs.api.storage_uri import storage_root
from trainjobs.kube.resources import Object

CODE: Final = "/trainjobs/code"
CHECKPOINTS: Final = "/trainjobs/checkpoints"
TOKEN_DIRECTORY: Final = "/var/run/secrets/trainjobs.dev"  # noqa: S105 - a path
API_ACCESS: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod's processes look for the API server's certificate and their token."""
API_TOKEN_S: Final = 3607
"""Seconds for which such a token is good, as Kubernetes' own are; the kubelet renews it."""
SHARED_MEMORY_GIB: Final = 8
"""Shared memory of each process where nothing is said of a node's memory: it is memory of the node."""
GRACE_PERIOD_S: Final = 120
"""Seconds between SIGTERM and SIGKILL: for the agreement on a step and the last checkpoint."""
USER: Final = 1000
"""User and group of the processes, unless `podTemplate` says otherwise."""


def template(job: TrainJob, default_image: str) -> Object:
    """The template of every pod of a TrainJob."""
    asked = job.spec.pod_template
    ours: Object = {
        "metadata": {"labels": names.labels(job)},
        "spec": {
            "subdomain": job.metadata.name,
            "restartPolicy": "Never",
            "serviceAccountName": names.RUNNER,
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": GRACE_PERIOD_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(job, default_image)],
            "volumes": [volume for volume, _ in _volumes(job)],
        },
    }
    # What makes pods find each other and the operator find them is not the user's to change.
    theirs = {
        "metadata": asked.metadata.model_dump(mode="json", exclude_defaults=True),
        "spec": asked.spec,
    }
    whole: Object = merged(merged(ours, theirs), _fixed(job))
    whole["metadata"]["labels"] = {**names.asked(job), **names.labels(job)}
    if whole["spec"].get("hostNetwork"):  # or it looks for pod 0 where the node looks for names
        whole["spec"].setdefault("dnsPolicy", "ClusterFirstWithHostNet")
    return whole


def _fixed(job: TrainJob) -> Object:
    """What no template replaces: who the agents are, and the token without which Ray runs anybody's code."""
    token, mount = _token(job)
    return {
        "spec": {
            "containers": [{"name": CONTAINER, "env": _identity(job), "volumeMounts": [mount]}],
            "volumes": [token],
        }
    }


def environment(job: TrainJob) -> list[Object]:
    """What the node agent is told, and the user's variables."""
    ours = _identity(job)
    known = {variable["name"] for variable in ours}
    theirs = [
        variable.model_dump(mode="json", by_alias=True, exclude_none=True)
        for variable in job.spec.trainer.env
    ]
    return [variable for variable in theirs if variable["name"] not in known] + ours


def _identity(job: TrainJob) -> list[Object]:
    told = PodEnvironment(
        name=job.metadata.name,
        namespace=job.metadata.namespace or "",
        uid=job.metadata.uid or "",
        kind="" if job.kind == "TrainJob" else job.kind,
        nodes=job.spec.trainer.num_nodes,
        processes=job.spec.trainer.num_proc_per_node,
        head=names.head(job),
        ray_token_path=f"{TOKEN_DIRECTORY}/token",
        backoff_limit=job.spec.backoff_limit,
        code=CODE if job.spec.trainer.code else "",
        storage=storage_root(job, CHECKPOINTS),
    )
    of_the_pod = {ADDRESS: "status.podIP", INDEX_VARIABLE: f"metadata.labels['{INDEX}']"}
    return [
        *({"name": name, "value": value} for name, value in told.to_env().items() if name not in of_the_pod),
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in of_the_pod.items()
        ),
    ]


def _container(job: TrainJob, default_image: str) -> Object:
    trainer = job.spec.trainer
    resources = trainer.resources_per_node.model_dump(mode="json", by_alias=True)
    return {
        "name": CONTAINER,
        "image": trainer.image or default_image,
        "command": list(COMMAND),
        "env": environment(job),
        "resources": {name: values for name, values in resources.items() if values},
        "volumeMounts": [mount for _, mount in _volumes(job)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _token(job: TrainJob) -> tuple[Object, Object]:
    secret = {"secretName": names.token_secret(job), "defaultMode": 0o440}
    mount = {"name": "ray-token", "mountPath": TOKEN_DIRECTORY, "readOnly": True}
    return {"name": "ray-token", "secret": secret}, mount


def _api_access() -> tuple[Object, Object]:
    """The pod's identity for the trainer alone: what runs beside it or before it has no use for it."""
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources: list[Object] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": API_TOKEN_S}},
        {"configMap": certificate},
        {"downwardAPI": {"items": [namespace]}},
    ]
    mount = {"name": "api-access", "mountPath": API_ACCESS, "readOnly": True}
    return {"name": "api-access", "projected": {"sources": sources}}, mount


def _shared_memory(job: TrainJob) -> tuple[Object, Object]:
    """For Ray's object store and the data loaders' workers; a container's default is 64 MiB."""
    trainer = job.spec.trainer
    resources = trainer.resources_per_node
    asked = resources.limits.get("memory") or resources.requests.get("memory")
    most = asked or f"{SHARED_MEMORY_GIB * trainer.num_proc_per_node}Gi"
    volume = {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": most}}
    return volume, {"name": "shared-memory", "mountPath": "/dev/shm"}  # noqa: S108


def _volumes(job: TrainJob) -> list[tuple[Object, Object]]:
    """Each volume with where it is mounted."""
    volumes = [_shared_memory(job), _token(job), _api_access()]
    if job.spec.trainer.code is not None:
        code = {"name": job.spec.trainer.code.config_map}
        volumes.append(
            ({"name": "code", "configMap": code}, {"name": "code", "mountPath": CODE, "readOnly": True})
        )
    storage = job.spec.checkpoint.storage
    if storage is not None and storage.claim_name is not None:
        claim = {"claimName": storage.claim_name}
        volumes.append(
            (
                {"name": "checkpoints", "persistentVolumeClaim": claim},
                {"name": "checkpoints", "mountPath": CHECKPOINTS},
            )
        )
    return volumes
