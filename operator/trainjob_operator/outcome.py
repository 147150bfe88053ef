"""How a TrainJob ended, once its Job has."""

from __future__ import annotations

from typing import Final

from trainjob_operator.facts import JobFacts
from trainjob_operator.state import EARLY_STOPPED, Kind, State
from trainjobs.spec import Stop, TrainJob

_REASONS: Final = {"PodFailurePolicy": "UserError"}
"""The Job controller's words where ours are others: only exit codes for the user's mistakes end a Job that way."""


_NO_REASON: Final = "no reason given"


def outcome(job: TrainJob, facts: JobFacts, overdue: tuple[str, str] | None, last_words: str) -> State:
    """The end. `overdue`: the deadline that was reached, if any; `last_words`: what the driver said."""
    return _failed(facts, overdue, last_words) if facts.failed else _complete(job)


def stopped_while_idle(stop: Stop) -> State:
    """Asked to stop while nothing was training: nobody needs to agree on a step."""
    return State(Kind.COMPLETE, "StopRequested", f"stopped on request: {stop.reason or _NO_REASON}")


def _complete(job: TrainJob) -> State:
    stopping = job.status.stopping if job.status else None
    if stopping is not None and stopping.criterion is not None:
        return State(Kind.COMPLETE, EARLY_STOPPED, stopping.reason or f"{stopping.criterion} said stop")
    asked = job.spec.stop
    if asked is not None:
        why = asked.reason or (stopping.reason if stopping else None) or _NO_REASON
        return State(Kind.COMPLETE, "StopRequested", f"stopped on request: {why}")
    training = job.status.training if job.status else None
    epochs = training.epoch if training else job.spec.trainer.max_epochs
    return State(Kind.COMPLETE, "Finished", f"trained {epochs} of {job.spec.trainer.max_epochs} epochs")


def _failed(facts: JobFacts, overdue: tuple[str, str] | None, last_words: str) -> State:
    condition = facts.conditions.get("Failed") or facts.conditions["FailureTarget"]
    reason = condition.get("reason", "Failed")
    if reason == "DeadlineExceeded" and overdue is not None:
        reason, said = overdue
    else:
        said = condition.get("message", "") or "the Job failed"
    message = f"{said}; the run's last words: {last_words}" if last_words else said
    return State(Kind.FAILED, _REASONS.get(reason, reason), message)
