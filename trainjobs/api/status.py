"""What has happened to a TrainJob: its status subresource.

Written by the operator (conditions, observedGeneration, completionTime, activeSeconds) and by the run (all
else); read by both and by the CLI, also by other versions of them: so a field that this version does not know is
ignored here, and nowhere else.
Values of metrics are text, as Python writes a float, so that NaN and infinity fit into JSON.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, ConfigDict, Field

from trainjobs.api.base import Model

Name = Annotated[str, Field(max_length=256)]
Sentence = Annotated[str, Field(max_length=2048)]
Number = Annotated[
    str,
    Field(
        max_length=64, pattern=r"^([+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|[+-]?[Ii]nf(inity)?|[Nn]a[Nn])$"
    ),
]
Count = Annotated[int, Field(ge=0, strict=True)]
Amount = Annotated[float, Field(ge=0, strict=True)]


LONGEST_REASON: Final = 128
"""Characters of a condition's reason: an Event holds no more."""
LONGEST_MESSAGE: Final = 4096
"""Characters of a condition's message; it would hold eight times as many, and nobody reads them."""


def word(reason: str) -> str:
    """A reason as Kubernetes takes it: some come from pods, whose word may be anything."""
    kept = re.sub(r"^[^A-Za-z]+|[^A-Za-z0-9_,:]+", "", reason)[:LONGEST_REASON].rstrip(",:")
    return kept or "Unknown"


def clipped(text: str, longest: int | None = LONGEST_MESSAGE) -> str:
    """Text that others can read: a lone surrogate, as in a file's name, is none; of so many characters at most."""
    whole = text.encode(errors="replace").decode()
    return whole if longest is None or len(whole) <= longest else f"{whole[: longest - 1]}…"


class StatusPart(Model):
    """A part of a status."""

    model_config = ConfigDict(extra="ignore")


class Truth(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Baseline(StrEnum):
    """What "saved" is measured against."""

    MAX_EPOCHS = "MaxEpochs"
    MAX_STEPS = "MaxSteps"


class Condition(StatusPart):
    """One fact about the TrainJob: Suspended, Running, EarlyStopped, Complete or Failed."""

    type: Annotated[str, Field(max_length=316)]
    """Name of the fact."""
    status: Truth
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one CamelCase word, such as EarlyStopped or DeadlineExceeded."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, in a sentence with the numbers."""
    last_transition_time: AwareDatetime
    """When `status` last changed."""
    observed_generation: Count | None = None
    """Generation of the spec that the condition is about."""

    @classmethod
    def of(
        cls,
        kind: str,
        holds: bool,
        reason: str,
        message: str,
        now: datetime,
        *,
        before: Self | None = None,
        generation: int | None = None,
    ) -> Self:
        """The condition of this type as it is now; its time moves only with the truth `before`."""
        truth = Truth.TRUE if holds else Truth.FALSE
        since = before.last_transition_time if before is not None and before.status == truth else now
        return cls(
            type=kind,
            status=truth,
            reason=word(reason),
            message=clipped(message),
            last_transition_time=since,
            observed_generation=generation,
        )


class MetricValue(StatusPart):
    """One metric of the latest report."""

    name: Name
    """Name of the metric as reported."""
    value: Number
    """Its value, reduced over all ranks."""


class BestValue(StatusPart):
    """Best value of `stopping.monitor` so far."""

    metric: Name
    """Name of the metric."""
    value: Number
    """The best finite value."""
    epoch: Count
    """Number of the epoch, from 1, that it was reported in."""


class TrainingStatus(StatusPart):
    """How far the training is."""

    epoch: Count = 0
    """Finished epochs."""
    step: Count = 0
    """Finished optimizer steps since the start of the run."""
    metrics: Annotated[tuple[MetricValue, ...], Field(max_length=64)] = ()
    """The latest report, at most 64 metrics."""
    best: BestValue | None = None
    """Best value of `stopping.monitor`. Unset: nothing is monitored, or no finite value was reported."""
    waiting: Annotated[str, Field(max_length=256)] | None = None
    """The criterion nearest to a stop and how near, such as "plateau 3/5". Unset: none is waiting."""
    startup_seconds: Amount | None = None
    """Seconds that the latest attempt took to its first step: from the start of pod 0's container, or of the attempt
    itself where another one ran there before. Unset: it has made no step yet."""
    last_update_time: AwareDatetime | None = None
    """When the run last wrote this."""


class ShadowStop(StatusPart):
    """Where a shadow criterion would have stopped the run."""

    criterion: Name
    """Name of the criterion."""
    reason: Sentence
    """Why, in a sentence with the numbers."""
    metric: Name | None = None
    """Metric that it judged. Unset: none, as with a budget."""
    value: Number | None = None
    """Value of that metric then."""
    epoch: Count
    """Number of the epoch, from 1, in which it would have stopped."""
    step: Count
    """Finished steps then."""


class StoppingStatus(StatusPart):
    """The decision to stop and what came of it. All unset but `shadow`: no decision yet."""

    criterion: Name | None = None
    """Name of the criterion that stopped the run. Unset: none did; a stop verb or a signal, say."""
    reason: Sentence | None = None
    """Why, in a sentence with the numbers."""
    metric: Name | None = None
    """Metric that the criterion judged."""
    value: Number | None = None
    """Value of that metric."""
    decided_at_step: Count | None = None
    """Finished steps at rank 0 when it decided."""
    halted_at_step: Count | None = None
    """Finished steps at which every rank halted."""
    ranks_halted: Count | None = None
    """Ranks that halted at that step."""
    ranks_total: Count | None = None
    """Ranks of the run."""
    decision_time: AwareDatetime | None = None
    """When rank 0 decided."""
    halt_time: AwareDatetime | None = None
    """When the last rank had halted."""
    shadow: Annotated[tuple[ShadowStop, ...], Field(max_length=16)] = ()
    """Where shadow criteria would have stopped the run, each once."""


class CheckpointStatus(StatusPart):
    """The latest durable checkpoint."""

    uri: Annotated[str, Field(max_length=2048)]
    """Where it is."""
    epoch: Count
    """Finished epochs in it."""
    step: Count
    """Finished steps in it."""
    metric: Number | None = None
    """Value of `stopping.monitor` in it. Unset: nothing is monitored."""
    time: AwareDatetime
    """When it was durable."""


class Accounting(StatusPart):
    """What the run used, and an estimate of what stopping early saved."""

    gpu_seconds_used: Amount = 0
    """Seconds of running time times GPUs held, all attempts added up."""
    seconds_saved: Amount = 0
    """Estimate: training seconds of the epochs or steps saved, at the mean of the finished ones."""
    gpu_seconds_saved: Amount = 0
    """The same times the GPUs held."""
    gpu_hours_saved: Amount = 0
    """The GPU seconds saved in hours, to two decimals, for people."""
    epochs_saved: Amount = 0
    """Epochs of the baseline that were not finished. 0 where the baseline is MaxSteps."""
    steps_saved: Amount = 0
    """Steps of the baseline that were not trained; where it is MaxEpochs, an estimate at the mean steps of an epoch."""
    baseline: Baseline = Baseline.MAX_EPOCHS
    """What "saved" is measured against: MaxEpochs or MaxSteps, the epochs or steps that the user asked for."""


class TrainJobStatus(StatusPart):
    """What has happened so far."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Facts about the TrainJob, one of each type."""
    observed_generation: Count | None = None
    """Generation of the spec that the operator last acted on."""
    start_time: AwareDatetime | None = None
    """When the first attempt started to train."""
    completion_time: AwareDatetime | None = None
    """When the run ended. Unset: it has not."""
    active_seconds: Amount = 0
    """Seconds of running time up to the latest pause; the operator counts them for `activeDeadlineSeconds`."""
    restarts: Count = 0
    """Attempts after the first one, for whatever cause."""
    failed_attempts: Count = 0
    """Attempts that failed and count against `backoffLimit`; lost nodes and preemptions do not."""
    training: TrainingStatus | None = None
    """How far the training is."""
    stopping: StoppingStatus | None = None
    """The decision to stop and what came of it."""
    checkpoint: CheckpointStatus | None = None
    """The latest durable checkpoint."""
    accounting: Accounting | None = None
    """What the run used and saved."""
