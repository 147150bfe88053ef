"""What has happened to a TrainSweep: its status subresource, written and read as a TrainJob's is."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from trainjobs.api.status import Accounting, Amount, Condition, Count, Name, Number, Sentence, StatusPart

LATEST = 16
"""Trials that a status shows at most: the last ones to start or end."""


class TrialCounts(StatusPart):
    """Trials by what has become of them."""

    total: Count = 0
    """Trials that the sweep is to have, if nothing ends it earlier."""
    ended: Count = 0
    """Those that are over, whichever way."""
    running: Count = 0
    """Those that train."""
    succeeded: Count = 0
    """Those that trained all they were asked to, or were stopped on request."""
    early_stopped: Count = 0
    """Those that a criterion of the template's `stopping` has stopped."""
    pruned: Count = 0
    """Those that were stopped because others do better."""
    failed: Count = 0
    """Those that an error has ended."""
    last_update_time: AwareDatetime | None = None
    """When the sweep last wrote this."""


class ParameterValue(StatusPart):
    """One parameter of a trial."""

    name: Annotated[str, Field(max_length=512)]
    """As in `spec.parameters`."""
    value: Annotated[str, Field(max_length=512)]
    """Its value, as JSON."""


class TrialStatus(StatusPart):
    """One trial."""

    trial: Annotated[str, Field(max_length=16)]
    """Its name: digits, counted from 0001."""
    state: Annotated[str, Field(max_length=64)]
    """Pending, Running, Finished, EarlyStopped, StopRequested, Pruned, Interrupted or Failed."""
    epoch: Count = 0
    """Epochs that it has reported."""
    objective: Number | None = None
    """What it is compared by. Unset: nothing was reported."""
    reason: Sentence | None = None
    """Why it ended, in a sentence with the numbers. Unset: it has not."""


class BestTrial(StatusPart):
    """The trial with the best objective."""

    trial: Annotated[str, Field(max_length=16)]
    """Its name."""
    metric: Name
    """The objective's metric."""
    objective: Number
    """Its value."""
    parameters: Annotated[tuple[ParameterValue, ...], Field(max_length=64)] = ()
    """The trial's parameters."""

    @property
    def values(self) -> str:
        """Its parameters in a line, such as "hidden=64 rate=0.1"."""
        return " ".join(f"{each.name}={each.value}" for each in self.parameters)


class TrainSweepStatus(StatusPart):
    """What has happened so far."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Facts about the TrainSweep, one of each type."""
    observed_generation: Count | None = None
    """Generation of the spec that the operator last acted on."""
    start_time: AwareDatetime | None = None
    """When the first trial was about to start."""
    completion_time: AwareDatetime | None = None
    """When the sweep ended. Unset: it has not."""
    active_seconds: Amount = 0
    """Seconds of running time up to the latest pause; the operator counts them for `activeDeadlineSeconds`."""
    restarts: Count = 0
    """Drivers of the sweep after the first one, for whatever cause."""
    failed_attempts: Count = 0
    """Drivers that died and count against the template's `backoffLimit`."""
    trials: TrialCounts | None = None
    """How many trials there are."""
    best: BestTrial | None = None
    """The best trial so far. Unset: none has reported a finite objective."""
    latest: Annotated[tuple[TrialStatus, ...], Field(max_length=LATEST)] = ()
    """The last trials, newest first; the sweep's directory has all."""
    summary: Sentence | None = None
    """Why the sweep is over, in a sentence. Unset: it is not."""
    accounting: Accounting | None = None
    """What the sweep used, and what stopping trials early saved."""
