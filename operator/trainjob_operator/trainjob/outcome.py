"""How a TrainJob ended, once its Job has."""

from __future__ import annotations

from typing import Final

from trainjob_operator.trainjob.conditions import Kind, State
from trainjob_operator.trainjob.observed_job import JobFacts
from trainjobs.api import Stop, TrainJob
from trainjobs.api.pod_contract import TerminationMessage
from trainjobs.api.reasons import COMPLETIONS, Reason

_BY_EXIT_CODE: Final = "PodFailurePolicy"
"""The Job controller's reason where the driver's exit code ended the Job: the driver knows best why."""
_NO_REASON: Final = "no reason given"


def outcome(
    job: TrainJob, facts: JobFacts, overdue: tuple[str, str] | None, words: TerminationMessage, cause: str
) -> State:
    """The end.

    Args:
        overdue: the deadline that was reached, if any.
        words: what the driver said.
        cause: what Kubernetes says of a pod that failed.
    """
    return _failed(facts, overdue, words, cause) if facts.failed else _complete(job)


def stopped_while_idle(stop: Stop) -> State:
    """Asked to stop while nothing was training: nobody needs to agree on a step."""
    return State(Kind.COMPLETE, Reason.STOP_REQUESTED, f"stopped on request: {stop.reason or _NO_REASON}")


def _complete(job: TrainJob) -> State:
    stopping = job.status.stopping if job.status else None
    if stopping is not None and stopping.criterion is not None:
        return State(
            Kind.COMPLETE, Reason.EARLY_STOPPED, stopping.reason or f"{stopping.criterion} said stop"
        )
    decided = stopping is not None and stopping.decision_time is not None
    if decided or job.spec.stop is not None:  # who takes his stop back after the decision has it all the same
        asked = job.spec.stop.reason if job.spec.stop else ""
        why = asked or (stopping.reason if stopping else None) or _NO_REASON
        return State(Kind.COMPLETE, Reason.STOP_REQUESTED, f"stopped on request: {why}")
    training = job.status.training if job.status else None
    length = job.spec.trainer.length
    trained = length.named(training.epoch, training.step) if training else length.amount
    return State(Kind.COMPLETE, Reason.FINISHED, f"trained {trained} of {length.amount} {length.unit}s")


def _failed(facts: JobFacts, overdue: tuple[str, str] | None, words: TerminationMessage, cause: str) -> State:
    condition = facts.conditions.get("Failed") or facts.conditions["FailureTarget"]
    reason, said = condition.get("reason", Reason.FAILED), condition.get("message", "") or "the Job failed"
    if reason == _BY_EXIT_CODE:
        if words.reason and words.reason not in COMPLETIONS:
            return State(Kind.FAILED, words.reason, f"{words.message}; {cause}" if cause else words.message)
        reason = Reason.USER_ERROR
    elif reason == Reason.DEADLINE_EXCEEDED and overdue is not None:
        reason, said = overdue
    said = f"{said}; {cause}" if cause else said
    message = f"{said}; the run's last words: {words.message}" if words.message else said
    return State(Kind.FAILED, reason, message)
