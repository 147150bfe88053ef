"""A run's state as the status of a TrainJob tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from trainjobs.api import status
from trainjobs.api.reasons import COMPLETIONS, RunOutcome
from trainjobs.runs.run_state import RunState, WouldStop, now
from trainjobs.stopping import Saving, against_length

if TYPE_CHECKING:
    from trainjobs.api import Stopping, TrainJob

METRICS = 64
"""As many of a report's metrics as a status holds; those that criteria judge are never left out."""
R = TypeVar("R", bound=status.StatusPart)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The parts of a status that tell of a run.

    Args:
        job: the manifest; of its criteria those of now are the state's.
    """

    job: TrainJob
    state: RunState

    @property
    def outcome(self) -> RunOutcome:
        """What it would be called if the run ended now."""
        if self.state.failure:
            return RunOutcome.FAILED
        return RunOutcome(self.state.decision.outcome) if self.state.decision else RunOutcome.FINISHED

    def training(self) -> status.TrainingStatus:
        """How far it is."""
        last, best, first = self.state.last, self.state.best, self.state.first_step
        return fitted(
            status.TrainingStatus,
            epoch=self.state.epochs,
            step=self.state.step,
            metrics=self._metrics(last.metrics) if last else (),
            best=fitted(status.BestValue, metric=best.metric, value=repr(best.value), epoch=best.epoch)
            if best
            else None,
            waiting=self.state.waiting or None,
            startup_seconds=round(first.total, 3) if first else None,
            last_update_time=now(),
        )

    def _metrics(self, metrics: Mapping[str, float]) -> tuple[status.MetricValue, ...]:
        judged = self._stopping.metrics
        names = sorted(metrics, key=lambda name: name not in judged)
        found = (fitted(status.MetricValue, name=name, value=repr(metrics[name])) for name in names)
        return tuple({value.name: value for value in found}.values())[:METRICS]

    @property
    def _stopping(self) -> Stopping:
        return self.state.stopping or self.job.spec.stopping

    def stopping(self) -> status.StoppingStatus:
        """The decision and what came of it."""
        halted = self.state.halted
        shadow = tuple(_shadow(name, at) for name, at in self.state.shadows.items())
        if halted is None or halted.decision is None:
            return status.StoppingStatus(shadow=shadow)
        decision = halted.decision
        return fitted(
            status.StoppingStatus,
            criterion=decision.criterion,
            reason=decision.reason,
            metric=decision.metric,
            value=None if decision.value is None else str(decision.value),
            decided_at_step=decision.decided_at_step,
            halted_at_step=max(halted.steps.values()),
            ranks_halted=len(halted.steps),
            ranks_total=self.job.spec.trainer.num_workers,
            decision_time=datetime.fromtimestamp(decision.decided_at, UTC),
            halt_time=self.state.halt_time,
            shadow=shadow,
        )

    def checkpoint(self) -> status.CheckpointStatus | None:
        """The newest durable one that this driver has heard of."""
        if (saved := self.state.checkpoint) is None:
            return None
        monitor, seen = self._stopping.monitor, self.state.checkpoint_report
        value = seen.metrics.get(monitor) if monitor and seen else None
        return fitted(
            status.CheckpointStatus,
            uri=saved.uri,
            epoch=saved.epoch,
            step=saved.step,
            metric=None if value is None else repr(value),
            time=self.state.checkpoint_time,
        )

    def accounting(self) -> status.Accounting:
        """What was used and saved."""
        saved = self._saved()
        gpu_s = saved.seconds * self._gpus
        return status.Accounting(
            gpu_seconds_used=self.state.seconds * self._gpus,
            seconds_saved=saved.seconds,
            gpu_seconds_saved=gpu_s,
            gpu_hours_saved=round(gpu_s / 3600, 2),
            epochs_saved=saved.epochs,
            steps_saved=saved.steps,
            baseline=self.job.spec.trainer.length.baseline,
        )

    @property
    def _gpus(self) -> int:
        """What a manifest asks for counts where the run has them."""
        on_cpus = self.state.started is not None and self.state.started.device == "cpu"
        return 0 if on_cpus else self.job.spec.trainer.num_gpus

    def _saved(self) -> Saving:
        """What a run that is complete has left of its length; nothing before."""
        length = self.job.spec.trainer.length
        if self.state.halted is None or self.outcome not in COMPLETIONS:
            return Saving(0, 0, 0.0, length.baseline, estimated=True)
        return against_length(length, self.state.history, self.state.step, self.state.epochs)


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
def _longest(kind: type[status.StatusPart]) -> Mapping[str, int]:
    """Characters that each text field may have."""
    properties = kind.model_json_schema(by_alias=False)["properties"].items()
    return {
        name: part["maxLength"]
        for name, schema in properties
        for part in (schema, *schema.get("anyOf", ()))
        if "maxLength" in part
    }


def _shadow(name: str, at: WouldStop) -> status.ShadowStop:
    return fitted(
        status.ShadowStop,
        criterion=name,
        reason=at.reason,
        metric=at.metric,
        value=None if at.value is None else str(at.value),
        epoch=at.epoch,
        step=at.step,
    )
