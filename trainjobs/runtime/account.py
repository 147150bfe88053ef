"""What has happened to a run, added up: events go in, the status of a TrainJob comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainjobs.runtime import events
from trainjobs.spec import status
from trainjobs.stopping import Observation, Panel, Saving, against_length, replay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trainjobs.spec import TrainJob


class Account:
    """Takes the events of a run in order.

    Args:
        job: the manifest; whoever changes its criteria sets the new one.
        history: observations of earlier lives.
    """

    def __init__(self, job: TrainJob, history: Iterable[Observation] = ()) -> None:
        self.job = job
        self.history = list(history)
        self.began = now()
        self.seconds = self.history[-1].seconds if self.history else 0.0
        """Training seconds, all attempts together, without what was lost with a failed one."""
        self._seen: dict[type[Any], Any] = {}
        self._ever: set[type[Any]] = set()
        self._halt_time = self.began
        self._checkpoint_time = self.began
        self._gpus = job.spec.trainer.num_gpus

    def take(self, event: events.Event) -> None:
        """Add an event."""
        match event:
            case events.Started():
                self.history = list(event.history)
                self._gpus = 0 if event.device == "cpu" else self.job.spec.trainer.num_gpus
                for old in (events.Halted, events.Decided, events.Failed, events.Progress):
                    self._seen.pop(old, None)
            case events.Reported():
                self.history.append(event.observation)
                self.seconds = event.observation.seconds
            case events.Restarting():
                self._seen.pop(events.Started, None)
            case events.Progress():
                self.seconds = event.seconds
            case events.Halted():
                self._halt_time = now()
            case events.Checkpointed():
                self._checkpoint_time = now()
        self._seen[type(event)] = event
        self._ever.add(type(event))

    def last(self, kind: type[Any]) -> Any:
        """The newest event of a kind in this attempt; None when there is none."""
        return self._seen.get(kind)

    def ever(self, kind: type[Any]) -> bool:
        """Whether there was one in any attempt."""
        return kind in self._ever

    @property
    def state(self) -> str:
        """Failed, Interrupted, Finished, EarlyStopped or StopRequested, if the run ended now."""
        if self.last(events.Failed):
            return "Failed"
        halted = self.last(events.Halted)
        return str(halted.decision["outcome"]) if halted and halted.decision else "Finished"

    def training(self) -> status.TrainingStatus:
        """How far it is."""
        reported = self.last(events.Reported)
        last = self.history[-1] if self.history else None
        best = reported.best if reported else None
        return status.TrainingStatus(
            epoch=last.epochs if last else 0,
            step=self._step(),
            metrics=tuple(
                status.MetricValue(name=name, value=repr(value)) for name, value in last.metrics.items()
            )
            if last
            else (),
            best=status.BestValue(metric=best["metric"], value=repr(best["value"]), epoch=best["epoch"])
            if best
            else None,
            waiting=reported.waiting if reported else None,
            last_update_time=now(),
        )

    def _step(self) -> int:
        progress, started = self.last(events.Progress), self.last(events.Started)
        halted: events.Halted | None = self.last(events.Halted)
        if halted is not None:
            return max(halted.steps.values())
        reported = self.history[-1].step if self.history else 0
        resumed = (started.resumed_from_step or 0) if started else 0
        return max(reported, resumed, progress.step if progress else 0)

    def stopping(self) -> status.StoppingStatus:
        """The decision and what came of it."""
        halted = self.last(events.Halted)
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
        found = replay(Panel.of(self.job.spec.stopping), self.history)
        return tuple(
            status.ShadowStop(
                criterion=alone.name, reason=alone.stop.reason, epoch=alone.stop.epoch, step=alone.stop.step
            )
            for alone in found.criteria
            if alone.shadow and alone.stop
        )

    def checkpoint(self) -> status.CheckpointStatus | None:
        """The newest durable one that this driver has heard of."""
        saved = self.last(events.Checkpointed)
        if saved is None:
            return None
        monitor = self.job.spec.stopping.monitor
        value = next(
            (seen.metrics.get(monitor) for seen in self.history if monitor and seen.step == saved.step), None
        )
        return status.CheckpointStatus(
            uri=saved.uri,
            epoch=saved.epoch,
            step=saved.step,
            metric=None if value is None else repr(value),
            time=self._checkpoint_time,
        )

    def accounting(self) -> status.Accounting:
        """What was used and saved."""
        saved = self.saved()
        saved_s = saved.seconds * self._gpus
        return status.Accounting(
            gpu_seconds_used=self.seconds * self._gpus,
            gpu_seconds_saved=saved_s,
            gpu_hours_saved=round(saved_s / 3600, 2),
            epochs_saved=saved.epochs,
            steps_saved=saved.steps,
            baseline=self.job.spec.trainer.length.baseline,
        )

    def saved(self) -> Saving:
        """What a run that is complete has left of its length; nothing before."""
        length = self.job.spec.trainer.length
        complete = self.last(events.Halted) and self.state in {"Finished", "EarlyStopped", "StopRequested"}
        if not complete:
            return Saving(0, 0, 0.0, length.baseline, estimated=True)
        return against_length(length, self.history, self._step())


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
