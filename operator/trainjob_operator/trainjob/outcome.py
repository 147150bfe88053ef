"""How a TrainJob ended, once its Job has."""

from __future__ import annotations

from typing import Final

from trainjob_operator.trainjob.conditions import Kind, State
from trainjob_operator.trainjob.observation.observed import Valid
from trainjob_operator.trainjob.observation.observed_job import ObservedJob
from trainjobs.api import Stop
from trainjobs.api.pod_contract import TerminationMessage
from trainjobs.api.reasons import COMPLETIONS, Reason

_BY_EXIT_CODE: Final = "PodFailurePolicy"
"""The Job controller's reason where the driver's exit code ended the Job: the driver knows best why."""
_NO_REASON: Final = "no reason given"


def outcome(
    observed: Valid,
    job: ObservedJob,
    overdue: tuple[str, str] | None,
    message: TerminationMessage,
    cause: str,
) -> State:
    """The end.

    Args:
        observed: the TrainJob.
        job: its Job.
        overdue: the deadline that was reached, if any.
        message: what the driver said of its end.
        cause: what Kubernetes says of a pod that failed.
    """
    return _failed(job, overdue, message, cause) if job.failed else _complete(observed)


def stopped_while_idle(stop: Stop) -> State:
    """Asked to stop while nothing was training: nobody needs to agree on a step."""
    return State(Kind.COMPLETE, Reason.STOP_REQUESTED, f"stopped on request: {stop.reason or _NO_REASON}")


def _complete(observed: Valid) -> State:
    spec, stopping = observed.trainjob.spec, observed.status.stopping
    if stopping is not None and stopping.criterion is not None:
        return State(
            Kind.COMPLETE, Reason.EARLY_STOPPED, stopping.reason or f"{stopping.criterion} said stop"
        )
    decided = stopping is not None and stopping.decision_time is not None
    if decided or spec.stop is not None:  # who takes his stop back after the decision has it all the same
        asked = spec.stop.reason if spec.stop else ""
        why = asked or (stopping.reason if stopping else None) or _NO_REASON
        return State(Kind.COMPLETE, Reason.STOP_REQUESTED, f"stopped on request: {why}")
    if observed.summary:
        return State(Kind.COMPLETE, Reason.FINISHED, observed.summary)
    training, length = observed.status.training, spec.trainer.length
    trained = length.named(training.epoch, training.step) if training else length.amount
    return State(Kind.COMPLETE, Reason.FINISHED, f"trained {trained} of {length.amount} {length.unit}s")


def _failed(
    job: ObservedJob, overdue: tuple[str, str] | None, message: TerminationMessage, cause: str
) -> State:
    condition = job.conditions.get("Failed") or job.conditions["FailureTarget"]
    reason, why = condition.get("reason", Reason.FAILED), condition.get("message", "") or "the Job failed"
    if reason == _BY_EXIT_CODE:
        if message.reason and message.reason not in COMPLETIONS:
            why = f"{message.message}; {cause}" if cause else message.message
            return State(Kind.FAILED, message.reason, why)
        reason = Reason.USER_ERROR
    elif reason == Reason.DEADLINE_EXCEEDED and overdue is not None:
        reason, why = overdue
    why = f"{why}; {cause}" if cause else why
    return State(
        Kind.FAILED, reason, f"{why}; the run's last words: {message.message}" if message.message else why
    )
