"""What should be of a TrainJob whose Job is there: it waits, starts, runs, pauses, ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.actions import Desired
from trainjob_operator.trainjob.conditions import Kind, State
from trainjob_operator.trainjob.deadlines import (
    Deadline,
    deadlines,
    last_heard,
    started,
)
from trainjob_operator.trainjob.diagnosis import Seen, last_words, why_it_failed, why_not_running
from trainjob_operator.trainjob.objects import names
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.objects.pod import GRACE_PERIOD_S
from trainjob_operator.trainjob.observed_job import JobFacts
from trainjob_operator.trainjob.outcome import outcome, stopped_while_idle
from trainjob_operator.trainjob.status_fields import (
    active_s,
    at_the_end,
    changes,
    idle_since,
    running_since,
    written,
)
from trainjobs.api import TrainJob
from trainjobs.api.reasons import Reason
from trainjobs.api.status import TrainJobStatus, Truth
from trainjobs.kube.resources import Object

SLOW_START_S: Final = 30
"""Seconds after which a Job that does not run yet has its pods looked at, and again after as many."""
UNTOLD_S: Final = 10
"""Seconds for which nothing is said of pods that leave: most are gone by then, and what is said is a write."""
_DECIDED: Final = (
    Reason.BACKOFF_LIMIT_EXCEEDED,
    Reason.STARTUP_DEADLINE_EXCEEDED,
    Reason.NO_PROGRESS,
    Reason.DEADLINE_EXCEEDED,
)
"""Reasons for which the operator ends a Job."""
_NO_CAUSE: Final = (Reason.STARTING, Reason.SUSPENDING, Reason.ENDING)
FAREWELL_S: Final = 2 * GRACE_PERIOD_S
"""Seconds after which an ended Job whose pods do not go counts as finished: their node is gone, probably."""


def starting(job: TrainJob) -> State:
    """A start like any other. It counts no pods: each new sentence is a write."""
    return State(Kind.STARTING, Reason.STARTING, f"{job.spec.trainer.num_nodes} pods are starting")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """A TrainJob with a Job of its own, at one moment; `result()` is what should be."""

    raw: Object
    job: TrainJob
    status: TrainJobStatus
    facts: JobFacts
    now: datetime
    seen: Seen | None

    def result(self) -> Desired:
        """What should be."""
        job, facts = self.job, self.facts
        if digest(job) != facts.made_from and self.status.start_time is None and not facts.finished:
            return Desired(delete_job=True)
        if job.spec.stop is not None and not facts.finished and not self._is_heard():
            return self._decided(stopped_while_idle(job.spec.stop), delete_job=True)
        if (left_s := self._until_told()) > 0:
            return Desired(requeue_after_s=left_s)
        state = self._state()
        return self._decided(state, patch_job=self._job_patch(state))

    def _state(self) -> State:
        facts = self.facts
        if facts.finished or self._overstayed():
            pods = self.seen.pods if self.seen else []
            return outcome(self.job, facts, self._overdue(), last_words(pods), why_it_failed(pods))
        if facts.ending_since is not None:
            return State(Kind.ENDING, Reason.ENDING, "the pods are leaving")
        if facts.suspend:
            return self._pause()
        if (overdue := self._overdue()) is not None:
            return State(Kind.ENDING, *overdue)
        return self._running() if started(self.job, facts) and not self._is_deserted() else self._starting()

    def _is_deserted(self) -> bool:
        """Whether the run had started, and can no more: pods are missing, and it says nothing."""
        since = self._deserted_from()
        return since is not None and since <= self.now

    def _deserted_from(self) -> datetime | None:
        """When it counts as deserted, if it goes on saying nothing; None: all its pods are there."""
        heard, nodes = last_heard(self.job), self.job.spec.trainer.num_nodes
        if self.facts.ready >= nodes or heard is None or not started(self.job, self.facts):
            return None
        return max(heard, running_since(self.status) or heard) + timedelta(seconds=SLOW_START_S)

    def _until_told(self) -> float:
        since = self.facts.ending_since
        if since is None or self.facts.finished:
            return 0.0
        return UNTOLD_S - (self.now - since).total_seconds()

    def _running(self) -> State:
        stopping = self.status.stopping
        if stopping is not None and stopping.decision_time is not None:
            return State(Kind.RUNNING, Reason.STOPPING, stopping.reason or "a stop is decided")
        return State(Kind.RUNNING, Reason.RUNNING, "training")

    def _pause(self) -> State:
        if self.facts.active:
            cause = why_not_running(self.seen) if self.seen else None
            said = "the run writes a checkpoint and releases its nodes" if cause is None else cause[1]
            return State(Kind.ENDING, Reason.SUSPENDING, said)
        if self.facts.held and not self.job.spec.suspend:
            return State(Kind.SUSPENDED, Reason.QUEUED, "waiting for Kueue to admit the Job")
        return State(Kind.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true")

    def _starting(self) -> State:
        cause = why_not_running(self.seen) if self.seen else None
        if cause is not None:
            return State(Kind.STARTING, *cause)
        if not self._is_deserted():
            return starting(self.job)
        nodes = self.job.spec.trainer.num_nodes
        return State(Kind.STARTING, Reason.STARTING, f"it goes on when all {nodes} pods are there again")

    def _job_patch(self, state: State) -> Object | None:
        spec, facts = self.job.spec, self.facts
        if state.is_end or facts.finished or facts.ending_since is not None:
            return None
        if facts.suspend and (news := self._news_for_kueue()):
            return {"metadata": {"labels": news}}
        # Kueue alone decides over the Jobs that it queues.
        if spec.suspend != facts.suspend and not facts.held:
            return {"spec": {"suspend": spec.suspend}}
        if not facts.suspend and self._overdue() is not None and not facts.has_deadline:
            # Kubernetes' own way to end a Job: its pods get their grace period, and the Job stays to be read.
            return {"spec": {"activeDeadlineSeconds": 1}}
        return None

    def _news_for_kueue(self) -> dict[str, str]:
        """Labels of a TrainJob in a queue that its Job has otherwise; Kueue may move what does not run yet."""
        wanted = names.kueue(self.job)
        if names.QUEUE not in wanted:
            return {}
        return {name: value for name, value in wanted.items() if self.facts.kueue.get(name) != value}

    def _decided(self, state: State, patch_job: Object | None = None, delete_job: bool = False) -> Desired:
        fields = written(state, self.status, self.job.metadata.generation, self.now)
        if state.is_end:
            fields |= at_the_end(self.job, self.status, self.now)
        is_slow = state.kind is Kind.STARTING and self._is_slow()
        lingers = (since := self._lingers_from(state)) is not None and since <= self.now
        return Desired(
            patch_job=patch_job,
            delete_job=delete_job,
            status=changes(self.raw, fields),
            requeue_after_s=None if state.is_end else self._next_look(state),
            wants_pods=self.seen is None and (is_slow or lingers or state.kind is Kind.FAILED),
            expected_pods=self.job.spec.trainer.num_nodes if is_slow else 0,
        )

    def _is_slow(self) -> bool:
        since = self.facts.start_time
        return since is not None and self.now - since >= timedelta(seconds=SLOW_START_S)

    def _next_look(self, state: State) -> float | None:
        moments = [deadline.at for deadline in self._deadlines()]
        if self.facts.ending_since is not None:
            moments = [self.facts.ending_since + timedelta(seconds=FAREWELL_S)]
        waits = [max(0.0, (moment - self.now).total_seconds()) for moment in moments]
        if state.kind is Kind.STARTING:
            waits.append(SLOW_START_S)
        later = (self._lingers_from(state), self._deserted_from())
        waits += [(moment - self.now).total_seconds() for moment in later if moment and moment > self.now]
        return min(waits, default=None)

    def _lingers_from(self, state: State) -> datetime | None:
        """When pods of a suspended Job should have left long ago."""
        since = idle_since(self.status) or self.now
        return since + timedelta(seconds=FAREWELL_S) if state.reason == Reason.SUSPENDING else None

    def _is_heard(self) -> bool:
        """Whether there is a run that hears of a stop."""
        nobody_is_there = self.facts.ready == 0 and self._is_deserted()
        return not self.facts.suspend and started(self.job, self.facts) and not nobody_is_there

    def _overstayed(self) -> bool:
        since = self.facts.ending_since
        return since is not None and self.now - since >= timedelta(seconds=FAREWELL_S)

    def _deadlines(self) -> list[Deadline]:
        away = (idle_since(self.status) or self.now) if self._is_deserted() else None
        running_s, running = active_s(self.status, self.now), running_since(self.status)
        return list(deadlines(self.job, self.facts, running_s, running, away, self.now))

    def _overdue(self) -> tuple[str, str] | None:
        """Why the Job has to end though it would go on; once it is told to, it stays at that."""
        told = self.status.conditions[0] if self.status.conditions else None
        is_told = self.facts.has_deadline or self.facts.failed
        if is_told and told is not None and told.reason in _DECIDED:
            return told.reason, told.message
        in_place, with_pods = self.status.failed_attempts, self.facts.failed_pods
        failed, limit = in_place + with_pods, self.job.spec.backoff_limit
        if in_place and with_pods and failed > limit:  # the run and the Job each look after their own
            why = f"{failed} attempts failed, {with_pods} of them with their pods (backoffLimit {limit})"
            return Reason.BACKOFF_LIMIT_EXCEEDED, why
        reached = [deadline for deadline in self._deadlines() if deadline.at <= self.now]
        if not reached:
            return None
        end = reached[0]
        waits = told is not None and told.type == Kind.RUNNING and told.status is Truth.FALSE
        if (
            end.reason == Reason.STARTUP_DEADLINE_EXCEEDED
            and told is not None
            and waits
            and told.reason not in _NO_CAUSE + _DECIDED
        ):
            return end.reason, f"{end.message}; {told.reason}: {told.message}"
        return end.reason, end.message
