"""The driver's account of a run: every event into the run directory, and at the end the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainjobs.api import status
from trainjobs.api.reasons import ConditionType, RunOutcome
from trainjobs.exits import Exit, UserError
from trainjobs.runs import events
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.run_state import RunState, now

if TYPE_CHECKING:
    from trainjobs.api import TrainJob


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    exit_code: Exit
    document: Mapping[str, Any]
    """What `result.json` holds: the fields of a TrainJob's status, and what only a run on one machine can tell."""


class RunRecorder:
    """Takes events in order, keeps them, passes them on.

    Args:
        job: the manifest.
        place: the run directory, held by the caller.
        sink: is told every event after it is kept.
    """

    def __init__(self, job: TrainJob, directory: RunDirectory, sink: Callable[[events.Event], None]) -> None:
        self.job = job
        """The manifest with the criteria of now."""
        self._began = now()
        self.state = RunState.of(job.spec.stopping, directory.history(), job.spec.trainer.length)
        """What has happened so far."""
        self._directory = directory
        self._sink = sink
        self._restarts = 0
        self._failed_attempts = 0

    def take(self, event: events.Event) -> None:
        """Keep an event and pass it on."""
        self.state = self.state.after(event)
        if isinstance(event, events.CriteriaChanged):
            spec = self.job.spec.model_copy(update={"stopping": event.stopping})
            self.job = self.job.model_copy(update={"spec": spec})
            self._directory.write_job(self.job)
        self._directory.keep(event)
        self._sink(event)

    def count(self, restarts: int, failed_attempts: int) -> None:
        """Attempts after the first one, and those that have failed and count against `backoffLimit`."""
        self._restarts, self._failed_attempts = restarts, failed_attempts

    def fail(self, failure: events.Failed) -> None:
        """Take the driver's own failure, which may well be that nothing can be kept any more."""
        try:
            self.take(failure)
        except UserError:
            self._sink(failure)

    def close(self) -> RunEnd:
        """Write the result."""
        failed, state = self.state.failure, JobStatus(self.job, self.state).outcome
        ended = Exit.INTERRUPTED if state is RunOutcome.INTERRUPTED else Exit.DONE
        code = Exit(failed.exit_code) if failed else ended
        document = self._document(state)
        self._directory.write_result(document)
        return RunEnd(code, document)

    def _document(self, state: RunOutcome) -> dict[str, Any]:
        told = JobStatus(self.job, self.state)
        known = status.TrainJobStatus(
            conditions=self._conditions(state),
            start_time=self._began,
            completion_time=now(),
            restarts=self._restarts,
            failed_attempts=self._failed_attempts,
            training=told.training(),
            stopping=told.stopping(),
            checkpoint=told.checkpoint(),
            accounting=told.accounting(),
        ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"active_seconds"})
        return {"name": self.job.metadata.name, "state": state, **_merged(known, self._only_here())}

    def _only_here(self) -> dict[str, Any]:
        """What a status in a cluster has no place for."""
        parts: dict[str, Any] = {
            "accounting": {
                "secondsUsed": self.state.seconds,
                "workers": self.job.spec.trainer.num_workers,
            },
            "finalMetrics": dict(self.state.tests or {}),
        }
        if (saved := self.state.model) is not None:
            weights = "Best" if saved.best else "Last"
            parts["model"] = {
                "file": saved.name,
                "epoch": saved.epoch,
                "step": saved.step,
                "weights": weights,
            }
        if self.state.halted is not None:
            parts["stopping"] = _halt(self.state.halted)
        if (failed := self.state.failure) is not None:
            parts["failure"] = {
                "rank": failed.rank,
                "kind": failed.kind,
                "message": failed.message,
                "exitCode": failed.exit_code,
            }
        return parts

    def _conditions(self, state: RunOutcome) -> tuple[status.Condition, ...]:
        decision, failed = self.state.decision, self.state.failure
        length = self.job.spec.trainer.length
        if failed:
            return (status.Condition.of(ConditionType.FAILED, True, failed.kind, failed.message, now()),)
        is_stopped = decision is not None and state is not RunOutcome.FINISHED
        reason = decision.reason if decision and is_stopped else self.state.finish(length)
        if state is RunOutcome.INTERRUPTED:
            return (status.Condition.of(ConditionType.SUSPENDED, True, state, reason, now()),)
        stopped_early = (ConditionType.EARLY_STOPPED,) if state is RunOutcome.EARLY_STOPPED else ()
        held = (*stopped_early, ConditionType.COMPLETE)
        return tuple(status.Condition.of(kind, True, state, reason, now()) for kind in held)


def _halt(halted: events.Halted) -> dict[str, Any]:
    """Where the ranks halted, and what only a decision has: how soon that was, and the best that it was made by."""
    steps = {str(rank): step for rank, step in halted.steps.items()}
    if (decision := halted.decision) is None:
        return {"haltedSteps": steps}
    best = {"best": decision.best, "bestEpoch": decision.best_epoch}
    known = {name: value for name, value in best.items() if value is not None}
    return {"haltedSteps": steps, **known, "millisecondsToHalt": halted.milliseconds}


def _merged(into: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`into` with the parts of `extra` added, section by section."""
    merged = dict(into)
    for key, value in extra.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged
