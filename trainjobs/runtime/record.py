"""The driver's account of a run: every event into the run directory, and at the end the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainjobs.runtime import events
from trainjobs.runtime.directory import RunDirectory
from trainjobs.runtime.exits import Exit
from trainjobs.spec import status
from trainjobs.stopping import Observation, Panel, replay

if TYPE_CHECKING:
    from trainjobs.spec import Stopping, Trainer, TrainJob


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    exit_code: Exit
    document: Mapping[str, Any]
    """What `result.json` holds: the fields of a TrainJob's status, and what only a run on one machine can tell."""


class Record:
    """Takes events in order, keeps them, passes them on.

    Args:
        job: the manifest.
        place: the run directory, held by the caller.
        sink: is told every event after it is kept.
    """

    def __init__(self, job: TrainJob, place: RunDirectory, sink: Callable[[events.Event], None]) -> None:
        self.job = job
        self._place = place
        self._sink = sink
        self._began = _now()
        self._history: list[Observation] = list(place.history())
        self._seen: dict[type[Any], Any] = {}
        self._halt_time = self._began
        self._checkpoint_time = self._began
        self._seconds = self._history[-1].seconds if self._history else 0.0

    @property
    def checkpoint_step(self) -> int:
        """The step of the newest checkpoint; 0 when there is none."""
        saved = self._last(events.Checkpointed)
        return saved.step if saved else 0

    def take(self, event: events.Event) -> None:
        """Keep an event and pass it on."""
        match event:
            case events.Started():
                self._history = list(event.history)
                self._place.write_history(self._history)
                self._seen.pop(events.Halted, None)
                self._seen.pop(events.Failed, None)
            case events.Reported():
                self._history.append(event.observation)
                self._place.append_observation(event.observation)
                self._seconds = event.observation.seconds
            case events.Progress():
                self._seconds = event.seconds
            case events.Decided():
                self._place.append_decision(event.decision)
            case events.Halted():
                self._halt_time = _now()
            case events.Checkpointed():
                self._checkpoint_time = _now()
        self._seen[type(event)] = event
        self._place.append_event(event)
        self._sink(event)

    def change(self, stopping: Stopping) -> None:
        """The job is judged by other criteria from now on."""
        spec = self.job.spec.model_copy(update={"stopping": stopping})
        self.job = self.job.model_copy(update={"spec": spec})
        self._place.write_job(self.job)

    def close(self) -> Result:
        """Write the result."""
        failed = self._last(events.Failed)
        state = self._state()
        code = Exit(failed.exit_code) if failed else Exit.INTERRUPTED if state == "Interrupted" else Exit.DONE
        document = self._document(state)
        self._place.write_result(document)
        return Result(code, document)

    def _state(self) -> str:
        if self._last(events.Failed):
            return "Failed"
        halted = self._last(events.Halted)
        return str(halted.decision["outcome"]) if halted and halted.decision else "Finished"

    def _document(self, state: str) -> dict[str, Any]:
        known = status.TrainJobStatus(
            conditions=self._conditions(state),
            start_time=self._began,
            completion_time=_now(),
            restarts=max(0, started.attempt - 1) if (started := self._last(events.Started)) else 0,
            training=self._training(),
            stopping=self._stopping(),
            checkpoint=self._checkpoint(),
            accounting=self._accounting(),
        ).model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"name": self.job.metadata.name, "state": state, **_merged(known, self._only_here())}

    def _only_here(self) -> dict[str, Any]:
        """What a status in a cluster has no place for."""
        halted, final = self._last(events.Halted), self._last(events.Final)
        decision = halted.decision if halted else {}
        parts: dict[str, Any] = {
            "accounting": {
                "secondsUsed": self._seconds,
                "secondsSaved": self._seconds_saved(),
                "workers": self.job.spec.trainer.num_workers,
            },
            "finalMetrics": dict(final.metrics) if final else {},
        }
        if halted:
            parts["stopping"] = {
                "best": decision.get("best"),
                "bestEpoch": decision.get("best_epoch"),
                "haltedSteps": {str(rank): step for rank, step in halted.steps.items()},
                "millisecondsToHalt": halted.milliseconds,
            }
        if (failed := self._last(events.Failed)) is not None:
            parts["failure"] = {
                "rank": failed.rank,
                "kind": failed.kind,
                "message": failed.message,
                "exitCode": failed.exit_code,
            }
        return parts

    def _conditions(self, state: str) -> tuple[status.Condition, ...]:
        decision, failed = self._last(events.Decided), self._last(events.Failed)
        if failed:
            return (_condition("Failed", failed.kind, failed.message),)
        reason = (
            decision.decision["reason"]
            if decision and state != "Finished"
            else f"trained all {self.job.spec.trainer.max_epochs} epochs"
        )
        if state == "Interrupted":
            return (_condition("Suspended", state, reason),)
        stopped = (_condition("EarlyStopped", state, reason),) if state == "EarlyStopped" else ()
        return (*stopped, _condition("Complete", state, reason))

    def _training(self) -> status.TrainingStatus:
        reported, halted = self._last(events.Reported), self._last(events.Halted)
        last = self._history[-1] if self._history else None
        best = reported.best if reported else None
        return status.TrainingStatus(
            epoch=last.epoch if last else 0,
            step=max(halted.steps.values()) if halted else last.step if last else 0,
            metrics=tuple(
                status.MetricValue(name=name, value=repr(value)) for name, value in last.metrics.items()
            )
            if last
            else (),
            best=status.BestValue(metric=best["metric"], value=repr(best["value"]), epoch=best["epoch"])
            if best
            else None,
            waiting=reported.waiting if reported else None,
            last_update_time=_now(),
        )

    def _stopping(self) -> status.StoppingStatus:
        halted = self._last(events.Halted)
        shadow = self._shadow()
        if halted is None or not halted.decision:
            return status.StoppingStatus(shadow=shadow)
        decision, steps = halted.decision, set(halted.steps.values())
        return status.StoppingStatus(
            criterion=decision["criterion"],
            reason=decision["reason"],
            metric=decision["metric"],
            value=None if decision["value"] is None else str(decision["value"]),
            decided_at_step=decision["decided_at_step"],
            halted_at_step=max(steps),
            ranks_halted=len(halted.steps),
            ranks_total=self.job.spec.trainer.num_workers,
            decision_time=datetime.fromtimestamp(decision["decided_at"], UTC),
            halt_time=self._halt_time,
            shadow=shadow,
        )

    def _shadow(self) -> tuple[status.ShadowStop, ...]:
        """Where each shadow criterion would have stopped."""
        found = replay(Panel.of(self.job.spec.stopping), self._history)
        return tuple(
            status.ShadowStop(
                criterion=alone.name, reason=alone.stop.reason, epoch=alone.stop.epoch, step=alone.stop.step
            )
            for alone in found.criteria
            if alone.shadow and alone.stop
        )

    def _checkpoint(self) -> status.CheckpointStatus | None:
        saved = self._last(events.Checkpointed)
        if saved is None:
            return None
        monitor = self.job.spec.stopping.monitor
        value = next(
            (seen.metrics.get(monitor) for seen in self._history if monitor and seen.step == saved.step), None
        )
        return status.CheckpointStatus(
            uri=saved.uri,
            epoch=saved.epoch,
            step=saved.step,
            metric=None if value is None else repr(value),
            time=self._checkpoint_time,
        )

    def _accounting(self) -> status.Accounting:
        gpus = gpus_per_node(self.job.spec.trainer) * self.job.spec.trainer.num_nodes
        return status.Accounting(
            gpu_seconds_used=self._seconds * gpus,
            gpu_seconds_saved=self._seconds_saved() * gpus,
            epochs_saved=self._epochs_saved(),
        )

    def _epochs_saved(self) -> int:
        complete = self._state() in {"Finished", "EarlyStopped", "StopRequested"}
        return self.job.spec.trainer.max_epochs - self._history[-1].epoch if complete and self._history else 0

    def _seconds_saved(self) -> float:
        """Epochs saved at the mean pace so far: an estimate."""
        if not self._history:
            return 0.0
        return self._epochs_saved() * self._history[-1].seconds / self._history[-1].epoch

    def _last(self, kind: type[Any]) -> Any:
        return self._seen.get(kind)


def gpus_per_node(trainer: Trainer) -> int:
    """GPUs that each node's workers share; 0 trains on CPUs."""
    return int(trainer.resources_per_node.limits.get("nvidia.com/gpu", 0))


def _condition(kind: str, reason: str, message: str) -> status.Condition:
    return status.Condition(
        type=kind, status=status.Truth.TRUE, reason=reason, message=message, last_transition_time=_now()
    )


def _merged(into: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`into` with the parts of `extra` added, section by section."""
    merged = dict(into)
    for key, value in extra.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def _now() -> datetime:
    return datetime.now(UTC)
