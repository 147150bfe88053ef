"""Why a TrainJob is as it is, in one word each: what conditions, failures, termination messages and metrics call it.

A word that is not here is nobody's of ours. Two kinds come from outside and are passed on: what Kubernetes says of a
Job or pod, and the class name of the error that ended a run on one machine.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

OPERATOR: Final = "trainjobs.dev/operator"
"""Who records them as Kubernetes Events."""


class ConditionType(StrEnum):
    """Facts about a TrainJob that its status holds."""

    SUSPENDED = "Suspended"
    """It has no pods and waits to be resumed, or to be admitted."""
    RUNNING = "Running"
    """It trains. False: it starts or ends."""
    EARLY_STOPPED = "EarlyStopped"
    """A criterion has stopped it; stands beside Complete."""
    COMPLETE = "Complete"
    """It has ended well."""
    FAILED = "Failed"
    """It has ended otherwise, or cannot be used as it is."""


class RunOutcome(StrEnum):
    """How a run ended."""

    FINISHED = "Finished"
    """Trained all epochs or steps, or its code has returned before."""
    EARLY_STOPPED = "EarlyStopped"
    """A criterion has stopped it."""
    STOP_REQUESTED = "StopRequested"
    """A person has stopped it with the stop verb."""
    PRUNED = "Pruned"
    """A trial of a sweep that was stopped because others do better."""
    INTERRUPTED = "Interrupted"
    """SIGTERM, Ctrl-C or suspend: it has left after a checkpoint and can be resumed."""
    FAILED = "Failed"
    """An error ended it."""


COMPLETIONS: Final = (
    RunOutcome.FINISHED,
    RunOutcome.EARLY_STOPPED,
    RunOutcome.STOP_REQUESTED,
    RunOutcome.PRUNED,
)
"""What only a run is called that is complete."""


class Reason(StrEnum):
    """The reasons of conditions that are ours."""

    NEW = "New"
    """Only in metrics: nothing has been said of it yet."""
    STARTING = "Starting"
    """Pods are made, pulled and started."""
    RUNNING = "Running"
    """It trains."""
    STOPPING = "Stopping"
    """A stop is decided, and ranks halt."""
    SUSPENDING = "Suspending"
    """The run writes a checkpoint and releases its nodes."""
    SUSPENDED = "Suspended"
    """No pods: `spec.suspend` is true."""
    QUEUED = "Queued"
    """No pods: Kueue has not admitted the Job."""
    ENDING = "Ending"
    """The end is decided, and pods leave."""
    TERMINATING = "Terminating"
    """A pod that was told to go is still on its node, which is lost perhaps."""
    SIDECAR_RUNS = "SidecarRuns"
    """A container beside the trainer, which is done, keeps the pod."""

    FINISHED = RunOutcome.FINISHED
    """See RunOutcome, as for the five that follow."""
    EARLY_STOPPED = RunOutcome.EARLY_STOPPED
    """A completion."""
    STOP_REQUESTED = RunOutcome.STOP_REQUESTED
    """A completion."""
    PRUNED = RunOutcome.PRUNED
    """A completion, of a trial of a sweep."""
    INTERRUPTED = RunOutcome.INTERRUPTED
    """Only of a run on one machine: in a cluster it is Suspended, or goes on in another pod."""
    FAILED = RunOutcome.FAILED
    """Kubernetes failed the Job and did not say why."""

    INVALID_SPEC = "InvalidSpec"
    """The TrainJob, or what is made of it, says something impossible."""
    NAME_TAKEN = "NameTaken"
    """An object of a name that it needs belongs to somebody else."""
    FORBIDDEN = "Forbidden"
    """The API server refuses something that it needs."""
    OPERATOR_ERROR = "OperatorError"
    """A fault of the operator's own."""

    STARTUP_DEADLINE_EXCEEDED = "StartupDeadlineExceeded"
    """Not all workers were there within `startupDeadlineSeconds`."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """It has run for `activeDeadlineSeconds`, or did not stop when it was asked to."""
    NO_PROGRESS = "NoProgress"
    """No step and no report for `progressDeadlineSeconds`."""
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    """More attempts failed than `backoffLimit`."""
    USER_ERROR = "UserError"
    """Something that its owner can mend, such as an exception of the training code."""
    NOT_OURS = "NotOurs"
    """The pod's TrainJob is gone, or another one has its name."""
    WORKER_DIED = "WorkerDied"
    """A training process ended without a word."""
    DRIVER_FAILED = "DriverFailed"
    """A failure of the driver itself, which no attempt of its own can mend; its agent starts another one."""
    DRIVER_DIED = "DriverDied"
    """The driver ended without a word; its agent starts another one."""


class KubernetesReason(StrEnum):
    """What Kubernetes most often says of pods that do not run; it has other words, which are passed on as well."""

    UNSCHEDULABLE = "Unschedulable"
    """No node has room for the pod."""
    SCHEDULING_GATED = "SchedulingGated"
    """Somebody holds it back from the scheduler."""
    FAILED_SCHEDULING = "FailedScheduling"
    """The scheduler's Event about it."""
    FAILED_CREATE = "FailedCreate"
    """It cannot be made: a quota or a policy, say."""
    FAILED_MOUNT = "FailedMount"
    """A volume cannot be mounted."""
    FAILED_ATTACH_VOLUME = "FailedAttachVolume"
    """A volume cannot be attached to the node."""
    FAILED_CREATE_POD_SANDBOX = "FailedCreatePodSandBox"
    """The node cannot make its network or its cgroup."""
    INTERNAL_ERROR = "InternalError"
    """The API server could not answer: a webhook that it has to ask does not, say."""
    WAITING = "Waiting"
    """A container waits, and its node does not say for what."""
    ERR_IMAGE_PULL = "ErrImagePull"
    """The image cannot be pulled."""
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    """The same again; there are pauses between the tries."""
    INVALID_IMAGE_NAME = "InvalidImageName"
    """The image's name is none."""
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    """A Secret or ConfigMap that a container names is not there."""
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    """A container ends again and again."""
