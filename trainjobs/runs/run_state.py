"""What has happened to a run, added up: events go in, the status of a TrainJob comes out.

Everything is added up as events come, so that a status costs the same after ten reports and after a hundred thousand;
only other criteria, or a history that goes back to a checkpoint, are folded again, once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from trainjobs.api import status
from trainjobs.runs import events
from trainjobs.stopping import Best, MissingMetric, Observation, Panel, Saving, against_length, replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trainjobs.api import Stopping, TrainJob

METRICS = 64
"""As many of a report's metrics as a status holds; those that criteria judge are never left out."""

R = TypeVar("R", bound=status.Report)


class Account:
    """Takes the events of a run in order.

    Args:
        job: the manifest.
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
        self._checkpoint: status.CheckpointStatus | None = None
        self._gpus = job.spec.trainer.num_gpus
        self._best: Best | None = None
        self._waiting: str | None = None
        self._judge()

    def take(self, event: events.Event) -> None:
        """Add an event."""
        match event:
            case events.Started():
                self.history = list(event.history)
                self._gpus = 0 if event.device == "cpu" else self.job.spec.trainer.num_gpus
                for old in (events.Halted, events.Decided, events.Failed, events.Progress):
                    self._seen.pop(old, None)
                self._judge()
            case events.Reported():
                self.history.append(event.observation)
                self.seconds = event.observation.seconds
                self._best, self._waiting = event.best, event.waiting or None
                self._note_shadows(event)
            case events.Restarting():
                self._seen.pop(events.Started, None)
            case events.Progress():
                self.seconds = event.seconds
            case events.Halted():
                self._halt_time = now()
            case events.Checkpointed():
                self._checkpoint = self._kept(event)
            case events.CriteriaChanged():
                self._change(event.stopping)
        self._seen[type(event)] = event
        self._ever.add(type(event))

    def _change(self, stopping: Stopping) -> None:
        """The job is judged by other criteria from now on."""
        spec = self.job.spec.model_copy(update={"stopping": stopping})
        self.job = self.job.model_copy(update={"spec": spec})
        self._judge()

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
        ending = self.last(events.Halted) or self.last(events.Decided)  # ranks that are gone have not halted
        return str(ending.decision.outcome) if ending and ending.decision else "Finished"

    def training(self) -> status.TrainingStatus:
        """How far it is."""
        last = self.history[-1] if self.history else None
        best = self._best
        return fitted(
            status.TrainingStatus,
            epoch=last.epochs if last else 0,
            step=self.step,
            metrics=self._metrics(last.metrics) if last else (),
            best=fitted(status.BestValue, metric=best.metric, value=repr(best.value), epoch=best.epoch)
            if best
            else None,
            waiting=self._waiting,
            last_update_time=now(),
        )

    def _metrics(self, metrics: Mapping[str, float]) -> tuple[status.MetricValue, ...]:
        judged = _judged(self.job.spec.stopping)
        names = sorted(metrics, key=lambda name: name not in judged)
        found = (fitted(status.MetricValue, name=name, value=repr(metrics[name])) for name in names)
        return tuple({value.name: value for value in found}.values())[:METRICS]

    @property
    def step(self) -> int:
        """Finished steps: where every rank has halted, or else as far as is known."""
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
        shadow = tuple(self._shadows.values())
        if halted is None or halted.decision is None:
            return status.StoppingStatus(shadow=shadow)
        decision, steps = halted.decision, set(halted.steps.values())
        return fitted(
            status.StoppingStatus,
            criterion=decision.criterion,
            reason=decision.reason,
            metric=decision.metric,
            value=None if decision.value is None else str(decision.value),
            decided_at_step=decision.decided_at_step,
            halted_at_step=max(steps),
            ranks_halted=len(halted.steps),
            ranks_total=self.job.spec.trainer.num_workers,
            decision_time=datetime.fromtimestamp(decision.decided_at, UTC),
            halt_time=self._halt_time,
            shadow=shadow,
        )

    def _note_shadows(self, event: events.Reported) -> None:
        names, seen = self.job.spec.stopping.names, event.observation
        for said in event.results:
            name = said.name
            if said.shadow and said.stop and name in names and name not in self._shadows:
                self._shadows[name] = _shadow(
                    name, said.reason, said.metric, said.value, seen.epoch, seen.step
                )

    def _judge(self) -> None:
        """What the criteria of now say about the whole history."""
        self._shadows = self._judged_again()
        self._best, self._waiting = None, None
        panel = Panel.of(self.job.spec.stopping)
        with suppress(MissingMetric):
            ruling = panel.judge(panel.fold(self.history))
            self._best, self._waiting = ruling.best, ruling.waiting or None

    def _judged_again(self) -> dict[str, status.ShadowStop]:
        """Where each shadow criterion would have stopped the history, by its name."""
        panel = Panel.of(self.job.spec.stopping)
        shadows = replace(panel, judges=tuple(judge for judge in panel.judges if judge.shadow))
        if not shadows.judges:
            return {}
        return {
            alone.name: _shadow(
                *(alone.name, alone.stop.reason, alone.stop.metric, alone.stop.value),
                *(alone.stop.epoch, alone.stop.step),
            )
            for alone in replay(shadows, self.history).criteria
            if alone.stop
        }

    def checkpoint(self) -> status.CheckpointStatus | None:
        """The newest durable one that this driver has heard of."""
        return self._checkpoint

    def _kept(self, saved: events.Checkpointed) -> status.CheckpointStatus:
        monitor = self.job.spec.stopping.monitor
        reports = (seen for seen in reversed(self.history) if monitor and seen.step <= saved.step)
        last = next(reports, None)
        value = last.metrics.get(monitor) if last and monitor and last.step == saved.step else None
        return fitted(
            status.CheckpointStatus,
            uri=saved.uri,
            epoch=saved.epoch,
            step=saved.step,
            metric=None if value is None else repr(value),
            time=now(),
        )

    def accounting(self) -> status.Accounting:
        """What was used and saved."""
        saved = self.saved()
        gpu_s = saved.seconds * self._gpus
        return status.Accounting(
            gpu_seconds_used=self.seconds * self._gpus,
            seconds_saved=saved.seconds,
            gpu_seconds_saved=gpu_s,
            gpu_hours_saved=round(gpu_s / 3600, 2),
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
        return against_length(length, self.history, self.step)


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def fitted(kind: type[R], **values: Any) -> R:
    """A part of a status, its texts cut to what the API server takes: a run is worth more than its status."""
    longest = _longest(kind)
    return kind(
        **{
            name: status.clipped(value, longest.get(name)) if isinstance(value, str) else value
            for name, value in values.items()
        }
    )


@cache
def _longest(kind: type[status.Report]) -> Mapping[str, int]:
    """Characters that each text field may have."""
    properties = kind.model_json_schema(by_alias=False)["properties"].items()
    return {
        name: part["maxLength"]
        for name, schema in properties
        for part in (schema, *schema.get("anyOf", ()))
        if "maxLength" in part
    }


def _judged(stopping: Stopping) -> set[str | None]:
    """Names of the metrics that criteria read."""
    families = [family for criterion in stopping.criteria for _, family in criterion.families()]
    own = (getattr(family, name, None) for family in families for name in ("monitor", "against"))
    return {stopping.monitor, *own}


def _shadow(
    name: str, reason: str, metric: str | None, value: float | None, epoch: int, step: int
) -> status.ShadowStop:
    return fitted(
        status.ShadowStop,
        criterion=name,
        reason=reason,
        metric=metric,
        value=None if value is None else str(value),
        epoch=epoch,
        step=step,
    )
