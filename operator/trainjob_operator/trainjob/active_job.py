"""What is to be done for a TrainJob whose Job is there: it waits, starts, runs, pauses, ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainjob_operator.trainjob.actions import Plan
from trainjob_operator.trainjob.conditions import Kind, State
from trainjob_operator.trainjob.deadlines import (
    Deadline,
    deadlines,
    last_heard,
    longest_stop_s,
    silent_from,
    started,
)
from trainjob_operator.trainjob.objects import names
from trainjob_operator.trainjob.objects.job import digest
from trainjob_operator.trainjob.objects.pod import GRACE_PERIOD_S
from trainjob_operator.trainjob.observation.diagnosis import (
    count_training,
    termination_message,
    why_it_failed,
    why_not_running,
)
from trainjob_operator.trainjob.observation.observed import Valid
from trainjob_operator.trainjob.observation.observed_job import AT_ONCE_S, ObservedJob
from trainjob_operator.trainjob.outcome import outcome, stopped_while_idle
from trainjob_operator.trainjob.status_fields import (
    changes,
    final_fields,
    idle_since,
    running_since,
    state_fields,
)
from trainjobs.api import TrainJob
from trainjobs.api.reasons import Reason
from trainjobs.api.status import Truth
from trainjobs.kube.resources import Object

SLOW_START_S: Final = 30
"""Seconds after which a Job that does not run yet has its pods looked at, and again after as many."""
ENDING_DELAY_S: Final = 10
"""Seconds for which pods that leave are not shown: most are gone by then, and what is shown is a write."""
_DECIDED: Final = (
    Reason.BACKOFF_LIMIT_EXCEEDED,
    Reason.STARTUP_DEADLINE_EXCEEDED,
    Reason.NO_PROGRESS,
    Reason.DEADLINE_EXCEEDED,
)
"""Reasons for which the operator ends a Job."""
_NO_CAUSE: Final = (Reason.STARTING, Reason.SUSPENDING, Reason.ENDING)
TERMINATION_TIMEOUT_S: Final = 2 * GRACE_PERIOD_S
"""Seconds after which a Job that has ended or is suspended and whose pods do not go counts as without: their node is
gone, probably."""


def starting(trainjob: TrainJob) -> State:
    """A start like any other. It counts no pods: each new sentence is a write."""
    return State(Kind.STARTING, Reason.STARTING, f"{trainjob.spec.trainer.num_nodes} pods are starting")


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A TrainJob with a Job of its own, at one moment."""

    observed: Valid
    job: ObservedJob

    def plan(self) -> Plan:
        """What is to be done."""
        spec, job = self.observed.trainjob.spec, self.job
        is_outdated = digest(self.observed.trainjob) != job.made_from
        if is_outdated and self.observed.status.start_time is None and not job.finished:
            return Plan(delete_job=True)
        if spec.stop is not None and not job.finished and not self._follows_stop():
            return self._plan_for(stopped_while_idle(spec.stop), delete_job=True)
        if (left_s := self._until_ending_is_shown()) > 0:
            return Plan(requeue_after_s=left_s)
        state = self._state()
        return self._plan_for(state, patch_job=self._job_patch(state))

    @property
    def should_be_heard(self) -> bool:
        """Whether a run is asked something, or has said nothing for long."""
        if self.job.suspend or not started(self.observed.status, self.job):
            return False
        since = self._silent_from()
        return self.observed.trainjob.spec.stop is not None or (
            since is not None and since <= self.observed.now
        )

    def _state(self) -> State:
        job = self.job
        if job.finished or self._termination_timed_out():
            pods = self.observed.pods.pods if self.observed.pods else []
            return outcome(
                self.observed, job, self._overdue(), termination_message(pods), why_it_failed(pods)
            )
        if job.ending_since is not None:
            return State(Kind.ENDING, Reason.ENDING, "the pods are leaving")
        if job.suspend:
            return self._suspended()
        if (overdue := self._overdue()) is not None:
            return State(Kind.ENDING, *overdue)
        is_running = started(self.observed.status, job) and not self._is_disrupted()
        return self._running() if is_running else self._starting()

    def _is_disrupted(self) -> bool:
        """Whether the run had started, and can no more: pods are missing, and it says nothing.

        A pod that is not ready need not be missing; whoever has not looked at the pods takes it for that.
        """
        since, pods = self._disrupted_from(), self.observed.pods
        if since is None or since > self.observed.now:
            return False
        return pods is None or count_training(pods.pods) < self.observed.trainjob.spec.trainer.num_nodes

    def _disrupted_from(self) -> datetime | None:
        """When it counts as disrupted, if it goes on saying nothing; None: all its pods are there, or may leave."""
        status, nodes = self.observed.status, self.observed.trainjob.spec.trainer.num_nodes
        heard = last_heard(status)
        is_ending = self.job.finished or self.job.ending_since is not None
        if is_ending or self.job.ready >= nodes or heard is None or not started(status, self.job):
            return None
        return max(heard, running_since(status) or heard) + timedelta(seconds=SLOW_START_S)

    def _until_ending_is_shown(self) -> float:
        since = self.job.ending_since
        if since is None or self.job.finished:
            return 0.0
        return ENDING_DELAY_S - (self.observed.now - since).total_seconds()

    def _running(self) -> State:
        stopping = self.observed.status.stopping
        if stopping is not None and stopping.decision_time is not None:
            return State(Kind.RUNNING, Reason.STOPPING, stopping.reason or "a stop is decided")
        if self.observed.problem:
            return State(Kind.RUNNING, Reason.INVALID_SPEC, self.observed.problem)
        return State(Kind.RUNNING, Reason.RUNNING, "training")

    def _suspended(self) -> State:
        job = self.job
        if job.active and not self._suspension_timed_out():
            return State(Kind.ENDING, Reason.SUSPENDING, "the run writes a checkpoint and releases its nodes")
        cause = self._why_not_running() if job.active else None
        left = f"; {cause[1]}" if cause else ""
        if not job.held or self.observed.trainjob.spec.suspend:
            return State(Kind.SUSPENDED, Reason.SUSPENDED, f"spec.suspend is true{left}")
        if names.QUEUE in job.kueue:
            return State(Kind.SUSPENDED, Reason.QUEUED, f"waiting for Kueue to admit the Job{left}")
        return State(Kind.SUSPENDED, Reason.QUEUED, f"waiting for whoever has suspended the Job{left}")

    def _starting(self) -> State:
        cause = self._why_not_running()
        if cause is not None:
            return State(Kind.STARTING, *cause)
        nodes = self.observed.trainjob.spec.trainer.num_nodes
        if self.job.num_pods < nodes:  # Kueue may take some from it
            may = f"its Job may have {self.job.num_pods} of {nodes} pods at once (spec.parallelism)"
            return State(Kind.STARTING, Reason.STARTING, f"{may}, and the run needs all of them")
        if not self._is_disrupted():
            return starting(self.observed.trainjob)
        return State(Kind.STARTING, Reason.STARTING, f"it goes on when all {nodes} pods are there again")

    def _why_not_running(self) -> tuple[str, str] | None:
        return why_not_running(self.observed.pods) if self.observed.pods else None

    def _job_patch(self, state: State) -> Object | None:
        spec, job = self.observed.trainjob.spec, self.job
        if state.is_end or job.finished or job.ending_since is not None:
            return None
        if job.suspend and (labels := self._changed_kueue_labels()):
            return {"metadata": {"labels": labels}}
        # Kueue alone decides over the Jobs that it queues.
        if spec.suspend != job.suspend and not job.held:
            return names.suspension(spec.suspend)
        is_told = job.told_to_end(self.observed.now)
        if not (job.suspend or is_told) and (deadline := self._deadline_patch()):
            return deadline
        nodes = spec.trainer.num_nodes
        if job.num_pods != nodes and not (job.held or is_told):
            return {"spec": {"completions": nodes, "parallelism": nodes}}
        return None

    def _deadline_patch(self) -> Object | None:
        """Has Kubernetes end the Job: now if it is overdue, or later if it does not stop when it is asked to, whatever
        it says meanwhile and whether or not anybody looks. Its pods get their grace period, and it stays to be read."""
        now, job = self.observed.now, self.job
        if self._overdue() is not None:
            return {"spec": {"activeDeadlineSeconds": AT_ONCE_S}}
        if self.observed.trainjob.spec.stop is None:
            return names.stop_deadline(None) if job.has_stop_deadline else None
        latest_s = math.ceil(job.lived_s(now)) + longest_stop_s(self.observed)
        is_late = job.deadline_s is None or job.deadline_s > latest_s
        is_overruled = job.stop_deadline != "" and not job.has_stop_deadline
        return names.stop_deadline(latest_s) if is_late and not is_overruled else None

    def _changed_kueue_labels(self) -> dict[str, str]:
        """Labels of a TrainJob in a queue that its Job has otherwise; Kueue may move what does not run yet."""
        wanted = names.kueue(self.observed.trainjob)
        if names.QUEUE not in wanted:
            return {}
        return {name: value for name, value in wanted.items() if self.job.kueue.get(name) != value}

    def _plan_for(self, state: State, patch_job: Object | None = None, delete_job: bool = False) -> Plan:
        observed = self.observed
        fields = state_fields(state, observed)
        if state.is_end:
            fields |= final_fields(observed)
        is_slow = self._is_disrupted() or (state.kind is Kind.STARTING and self._is_slow())
        is_leaving_late = self.job.suspend and self.job.active > 0 and self._suspension_timed_out()
        return Plan(
            patch_job=patch_job,
            delete_job=delete_job,
            status=changes(observed.raw, fields),
            requeue_after_s=None if state.is_end else self._requeue_after(state),
            wants_pods=observed.pods is None and (is_slow or is_leaving_late or state.kind is Kind.FAILED),
            expected_pods=observed.trainjob.spec.trainer.num_nodes if is_slow else 0,
        )

    def _is_slow(self) -> bool:
        since = self.job.start_time
        return since is not None and self.observed.now - since >= timedelta(seconds=SLOW_START_S)

    def _requeue_after(self, state: State) -> float | None:
        now = self.observed.now
        moments = [self._suspension_times_out(), self._disrupted_from(), self._silent_from()]
        if self.job.ending_since is not None:
            moments.append(self.job.ending_since + timedelta(seconds=TERMINATION_TIMEOUT_S))
        else:
            moments += [deadline.at for deadline in self._deadlines()]
        # of one that has passed the Job is told; what Kubernetes does about it wakes us
        waits = [(moment - now).total_seconds() for moment in moments if moment and moment > now]
        if state.kind is Kind.STARTING:
            waits.append(SLOW_START_S)
        return min(waits, default=None)

    def _suspension_timed_out(self) -> bool:
        moment = self._suspension_times_out()
        return moment is not None and moment <= self.observed.now

    def _suspension_times_out(self) -> datetime | None:
        """When pods of a suspended Job that are still there count as gone."""
        if not (self.job.suspend and self.job.active):
            return None
        since = self.job.suspended_since or idle_since(self.observed.status) or self.observed.now
        return since + timedelta(seconds=TERMINATION_TIMEOUT_S)

    def _silent_from(self) -> datetime | None:
        start = self.job.start_time
        return silent_from(self.observed, start) if start is not None else None

    def _follows_stop(self) -> bool:
        """Whether there is a run that hears of a stop."""
        nobody_is_there = self.job.ready == 0 and self._is_disrupted()
        return not self.job.suspend and started(self.observed.status, self.job) and not nobody_is_there

    def _termination_timed_out(self) -> bool:
        since = self.job.ending_since
        return since is not None and self.observed.now - since >= timedelta(seconds=TERMINATION_TIMEOUT_S)

    def _deadlines(self) -> list[Deadline]:
        idle = idle_since(self.observed.status) or self.observed.now
        return list(deadlines(self.observed, self.job, idle if self._is_disrupted() else None))

    def _overdue(self) -> tuple[str, str] | None:
        """Why the Job has to end though it would go on; once it is told to, it stays at that."""
        status = self.observed.status
        first = status.conditions[0] if status.conditions else None
        is_told = self.job.told_to_end(self.observed.now) or self.job.failed
        if is_told and first is not None and first.reason in _DECIDED:
            return first.reason, first.message
        if (exceeded := self._backoff_limit_exceeded()) is not None:
            return Reason.BACKOFF_LIMIT_EXCEEDED, exceeded
        reached = [deadline for deadline in self._deadlines() if deadline.at <= self.observed.now]
        if not reached:
            return None
        end = reached[0]
        waits = first is not None and first.type == Kind.RUNNING and first.status is Truth.FALSE
        is_late = end.reason == Reason.STARTUP_DEADLINE_EXCEEDED
        if is_late and first is not None and waits and first.reason not in _NO_CAUSE + _DECIDED:
            return end.reason, f"{end.message}; {first.reason}: {first.message}"
        return end.reason, end.message

    def _backoff_limit_exceeded(self) -> str | None:
        """The run and the Job each count attempts that failed; what neither of them counts alone."""
        in_place, with_pods = self.observed.status.failed_attempts, self.job.failed_pods
        failed, limit = in_place + with_pods, self.observed.trainjob.spec.backoff_limit
        if in_place and with_pods and failed > limit:
            return f"{failed} attempts failed, {with_pods} of them with their pods (backoffLimit {limit})"
        return None
