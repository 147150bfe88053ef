"""The kind TrainJob: what to train, when it stops, where checkpoints go, and how the cluster runs it."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from trainjobs.api.base import REFERENCE, Choice, Form, HowMany, Model, refuse
from trainjobs.api.kinds import API_VERSION
from trainjobs.api.length import Length
from trainjobs.api.metadata import Metadata, ObjectName
from trainjobs.api.pod import Code, EnvironmentVariable, FreeForm, Image, PodTemplate, Resources
from trainjobs.api.status import TrainJobStatus
from trainjobs.api.stopping import Stopping

MOST_PODS: Final = 10_000
"""Of one object in a cluster."""

Entrypoint = Annotated[
    str,
    Field(max_length=253),
    Form(
        REFERENCE,
        "module:function, such as train:train for the function train in train.py",
    ),
]
Uri = Annotated[
    str,
    Field(max_length=1024),
    Form(
        r"[a-z][a-z0-9+.-]*://[^\s]+|/[^\s]*",
        "a URI or an absolute path without blanks, such as s3://bucket/runs or /runs",
    ),
]
Controller = Annotated[
    str,
    Field(max_length=63),
    Form(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/_.-]+",
        "a domain, '/' and a name, such as kueue.x-k8s.io/multikueue",
    ),
]
Seconds: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]


class Trainer(Model):
    """The function that trains, its settings, and the processes that call it."""

    example: ClassVar[str] = '{entrypoint: "train:train", maxEpochs: 10}'
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, of=("max_epochs", "max_steps"))

    entrypoint: Entrypoint
    """Function that every worker calls with its Run, as `module:function`. The module lies beside the
    manifest, in the ConfigMap of `code`, or in the image."""
    config: FreeForm = Field(default_factory=dict)
    """Settings of the training code, free-form; the function reads them as `run.config`. Data belongs into files."""
    max_epochs: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    """Epochs to train when no criterion stops the run earlier; the baseline of what is reported as saved. Exactly
    one of `maxEpochs`, `maxSteps` is given."""
    max_steps: Annotated[int, Field(ge=1, le=10**12, strict=True)] | None = None
    """Optimizer steps to train when no criterion stops the run earlier, in as many epochs as they take; instead
    of `maxEpochs`."""
    image: Image | None = None
    """Container image of the pods. Unset: the operator's default image. Means nothing on one machine."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=128)] = ()
    """Environment variables of the training processes, at most 128."""
    resources_per_node: Resources = Resources()
    """Resources of each node's pod. Empty: the namespace's defaults. On one machine, GPUs in here let the run use
    the machine's; the rest means nothing."""
    code: Code | None = None
    """Training code for the cluster. Unset: it is in the image. Means nothing on one machine."""
    num_nodes: Annotated[int, Field(ge=1, le=MOST_PODS, strict=True)] = 1
    """Pods, one on each node. On one machine they become processes: numNodes times numProcPerNode."""
    num_proc_per_node: Annotated[int, Field(ge=1, le=256, strict=True)] = 1
    """Training processes (ranks) in each pod; usually the number of its GPUs, and no more than that."""

    @property
    def num_workers(self) -> int:
        """Ranks of the whole run."""
        return self.num_nodes * self.num_proc_per_node

    @property
    def num_gpus(self) -> int:
        """GPUs that the pods of all nodes hold. 0: the run trains on CPUs."""
        return self.num_nodes * self.resources_per_node.gpus

    @property
    def length(self) -> Length:
        """How long the run is when no criterion stops it earlier."""
        return Length.of(self.max_epochs, self.max_steps)

    @model_validator(mode="after")
    def _a_gpu_for_each(self) -> Self:
        gpus, processes = self.resources_per_node.gpus, self.num_proc_per_node
        if 0 < gpus < processes:
            rule = f"must be at most the GPUs of a node in resourcesPerNode.limits, which are {gpus}"
            refuse([(("numProcPerNode",), processes, rule)])
        return self

    @model_validator(mode="after")
    def _variable_named_once(self) -> Self:
        names = [variable.name for variable in self.env]
        refuse(
            (("env", i, "name"), name, f"is also the name of env[{names.index(name)}]; keep one of them")
            for i, name in enumerate(names)
            if name in names[:i]
        )
        return self


class Storage(Model):
    """Where checkpoints outlive their pod: exactly one of `claimName`, `uri`."""

    example: ClassVar[str] = "{claimName: checkpoints}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE)

    claim_name: ObjectName | None = None
    """Name of a PersistentVolumeClaim that all pods can mount (ReadWriteMany with more than one node)."""
    uri: Uri | None = None
    """Directory that all pods can write, as a URI or an absolute path; each run uses a directory below it."""


class Checkpoint(Model):
    """When checkpoints are written, where, and how many are kept."""

    example: ClassVar[str] = "{everyEpochs: 1}"

    storage: Storage | None = None
    """Where checkpoints go. Unset: the run directory on one machine; in a cluster the pod's own disk, which
    is lost with the pod, so that more than one node need a storage."""
    every_epochs: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    """Epochs between two checkpoints; one more is written where a run stops, is suspended or preempted."""
    every_steps: Annotated[int, Field(ge=1, le=10**12, strict=True)] | None = None
    """Optimizer steps between two checkpoints, beside those of `everyEpochs`. Unset: none amid an epoch."""
    keep: Annotated[int, Field(ge=1, le=1000, strict=True)] = 2
    """Newest checkpoints that are kept; the best one by `stopping.monitor` is kept besides."""


class Stop(Model):
    """The stop verb: halt everywhere at one step, write a checkpoint, complete."""

    example: ClassVar[str] = "{reason: good enough}"

    reason: Annotated[str, Field(max_length=1024)] = ""
    """Why, in a sentence for the record. Empty: none given."""


class TrackerName(StrEnum):
    """Where a run's metrics can be looked at beside TrainJobs itself."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"


class TrainJobSpec(Model):
    """What is asked for. After the start only `suspend`, `stop`, `stopping`, `ttlSecondsAfterFinished` and
    the deadlines may change."""

    example: ClassVar[str] = '{trainer: {entrypoint: "train:train", maxEpochs: 10}}'

    trainer: Trainer
    """What trains, and on how many processes."""
    stopping: Stopping = Stopping()
    """When the run stops before its whole length. Empty: it trains all of it. May change while it runs: the
    whole history is judged again by the new criteria."""
    checkpoint: Checkpoint = Checkpoint()
    """Checkpoints: when, where, how many."""
    report_to: Annotated[tuple[TrackerName, ...], Field(max_length=8)] | None = None
    """Trackers that are told each report and how the run has ended, by name; they are set up by their own environment
    variables. Unset: tensorboard where it is installed. []: none."""
    pod_template: PodTemplate = PodTemplate()
    """What is merged into every pod; means nothing on one machine."""
    managed_by: Controller | None = None
    """Controller that looks after the Job instead of Kubernetes' own, as in a Job's `managedBy`, such as
    `kueue.x-k8s.io/multikueue`. Unset: Kubernetes' own. Means nothing on one machine."""
    suspend: Annotated[bool, Field(strict=True)] = False
    """true: write a checkpoint and release the nodes, keep the place. false: start, or go on from there."""
    stop: Stop | None = None
    """Set: stop now and complete. Unset: train on."""
    backoff_limit: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] = 3
    """Failed attempts that are followed by another one, which resumes from the last checkpoint; then the job
    fails for good. Lost nodes and preemptions do not count. 0: no second attempt."""
    startup_deadline_seconds: Seconds = 1800
    """Seconds within which all workers must have started, in each attempt; then the job fails."""
    active_deadline_seconds: Seconds | None = None
    """Seconds of running time, added up over attempts and suspensions, after which the job fails. Unset: no
    limit."""
    progress_deadline_seconds: Seconds = 1800
    """Seconds without a step after which an attempt fails with the stacks of its processes, and the next one
    starts from the last checkpoint."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] | None = None
    """Seconds from its end until the TrainJob is deleted with all it owns. Unset: kept. 0: at once."""

    @model_validator(mode="after")
    def _length_is_within_reach(self) -> Self:
        least, most = self.stopping, self.trainer
        refuse(
            (("stopping", f"min{unit}"), low, f"must be at most trainer.max{unit}, which is {high}")
            for unit, low, high in (
                ("Epochs", least.min_epochs, most.max_epochs),
                ("Steps", least.min_steps, most.max_steps),
            )
            if low is not None and high is not None and low > high
        )
        return self


class TrainJob(Model):
    """A training job that knows when to stop."""

    api_version: Literal["trainjobs.dev/v1alpha1"] = API_VERSION
    """Always trainjobs.dev/v1alpha1; other groups own other kinds called TrainJob."""
    kind: Literal["TrainJob"] = "TrainJob"
    """Always TrainJob."""
    metadata: Metadata
    """Name and labels."""
    spec: TrainJobSpec
    """What is asked for."""
    status: TrainJobStatus | None = None
    """What has happened so far; written by the operator and the run, ignored in a file."""
