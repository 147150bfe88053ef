"""What should be of a TrainJob whose Job is there: it waits, starts, runs, pauses, ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.deadlines import Deadline, deadlines, started
from trainjob_operator.diagnosis import Seen, last_words, why_not_running
from trainjob_operator.facts import JobFacts
from trainjob_operator.job import digest, queued
from trainjob_operator.outcome import outcome, stopped_while_idle
from trainjob_operator.pod import GRACE_PERIOD_S
from trainjob_operator.resources import Object
from trainjob_operator.state import Kind, State
from trainjob_operator.status_fields import active_s, at_the_end, changes, running_since, written
from trainjob_operator.wish import Desired
from trainjobs.spec import TrainJob
from trainjobs.spec.status import TrainJobStatus

SLOW_START_S: Final = 30
"""Seconds after which a Job that does not run yet has its pods looked at, and again after as many."""
UNTOLD_S: Final = 10
"""Seconds for which nothing is said of pods that leave: most are gone by then, and what is said is a write."""
BACKOFF_LIMIT: Final = "BackoffLimitExceeded"
FAREWELL_S: Final = 2 * GRACE_PERIOD_S
"""Seconds after which an ended Job whose pods do not go counts as finished: their node is gone, probably."""


def starting(job: TrainJob) -> State:
    """A start like any other. It counts no pods: each new sentence is a write."""
    return State(Kind.STARTING, "Starting", f"{job.spec.trainer.num_nodes} pods are starting")


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
        if job.spec.stop is not None and not facts.finished and not self._has_trained():
            return self._decided(stopped_while_idle(job.spec.stop), delete_job=True)
        if (left_s := self._until_told()) > 0:
            return Desired(requeue_after_s=left_s)
        state = self._state()
        return self._decided(state, patch_job=self._job_patch(state))

    def _state(self) -> State:
        facts = self.facts
        if facts.finished or self._overstayed():
            return outcome(self.job, facts, self._overdue(), last_words(self.seen.pods if self.seen else []))
        if facts.ending_since is not None:
            return State(Kind.ENDING, "Ending", "the pods are leaving")
        if facts.suspend:
            return self._pause()
        if (overdue := self._overdue()) is not None:
            return State(Kind.ENDING, *overdue)
        return self._running() if started(self.job, facts) else self._starting()

    def _until_told(self) -> float:
        since = self.facts.ending_since
        if since is None or self.facts.finished:
            return 0.0
        return UNTOLD_S - (self.now - since).total_seconds()

    def _running(self) -> State:
        stopping = self.status.stopping
        if stopping is not None and stopping.decision_time is not None:
            return State(Kind.RUNNING, "Stopping", stopping.reason or "a stop is decided")
        return State(Kind.RUNNING, "Running", "training")

    def _pause(self) -> State:
        if self.facts.active:
            return State(Kind.ENDING, "Suspending", "the run writes a checkpoint and releases its nodes")
        if queued(self.job) and not self.job.spec.suspend:
            return State(Kind.SUSPENDED, "Queued", "waiting for Kueue to admit the Job")
        return State(Kind.SUSPENDED, "Suspended", "spec.suspend is true")

    def _starting(self) -> State:
        cause = why_not_running(self.seen) if self.seen else None
        return starting(self.job) if cause is None else State(Kind.STARTING, *cause)

    def _job_patch(self, state: State) -> Object | None:
        spec, facts = self.job.spec, self.facts
        if state.is_end or facts.finished or facts.ending_since is not None:
            return None
        # Kueue alone decides over the Jobs that it queues.
        if spec.suspend != facts.suspend and not queued(self.job):
            return {"spec": {"suspend": spec.suspend}}
        if not facts.suspend and self._overdue() is not None and not facts.has_deadline:
            # Kubernetes' own way to end a Job: its pods get their grace period, and the Job stays to be read.
            return {"spec": {"activeDeadlineSeconds": 1}}
        return None

    def _decided(self, state: State, patch_job: Object | None = None, delete_job: bool = False) -> Desired:
        fields = written(state, self.status, self.job.metadata.generation, self.now)
        if state.is_end:
            fields |= at_the_end(self.job, self.status, self.now)
        is_slow = state.kind is Kind.STARTING and self._is_slow()
        return Desired(
            patch_job=patch_job,
            delete_job=delete_job,
            status=changes(self.raw, fields),
            requeue_after_s=None if state.is_end else self._next_look(state),
            wants_pods=self.seen is None and (is_slow or state.kind is Kind.FAILED),
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
        return min(waits, default=None)

    def _has_trained(self) -> bool:
        return not self.facts.suspend and started(self.job, self.facts)

    def _overstayed(self) -> bool:
        since = self.facts.ending_since
        return since is not None and self.now - since >= timedelta(seconds=FAREWELL_S)

    def _deadlines(self) -> list[Deadline]:
        running = running_since(self.status) is not None
        return list(deadlines(self.job, self.facts, active_s(self.status, self.now), running, self.now))

    def _overdue(self) -> tuple[str, str] | None:
        """Why the Job has to end though it would go on."""
        in_place, with_pods = self.status.failed_attempts, self.facts.failed_pods
        failed, limit = in_place + with_pods, self.job.spec.backoff_limit
        if in_place and with_pods and failed > limit:  # the run and the Job each look after their own
            why = f"{failed} attempts failed, {with_pods} of them with their pods (backoffLimit {limit})"
            return BACKOFF_LIMIT, why
        reached = [deadline for deadline in self._deadlines() if deadline.at <= self.now]
        return (reached[0].reason, reached[0].message) if reached else None
