"""What every criterion shares: how a metric is read, smoothed and gated."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from trainjobs.api.base import Choice, HowMany, Model

Count = Annotated[int, Field(ge=1, strict=True)]
Number = Annotated[float, Field(strict=True)]
Amount = Annotated[float, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
MetricName = Annotated[str, Field(min_length=1, max_length=128)]


class Mode(StrEnum):
    """Which direction of a metric is better."""

    MIN = "min"
    MAX = "max"


class NonFinite(StrEnum):
    """What a NaN or infinite value of a monitored metric means."""

    STOP = "Stop"
    COUNT = "Count"
    IGNORE = "Ignore"


class WhenMissing(StrEnum):
    """What an observation without the metric means."""

    ERROR = "Error"
    IGNORE = "Ignore"


class MinDeltaMode(StrEnum):
    """Whether `minDelta` is in units of the metric or a fraction of the best value."""

    ABSOLUTE = "Absolute"
    RELATIVE = "Relative"


class Ema(Model):
    """Exponential moving average, bias-corrected: the mean of all values with weights (1 - alpha)^age."""

    example: ClassVar[str] = "{alpha: 0.3}"

    alpha: Annotated[float, Field(gt=0, le=1, strict=True)]
    """Weight of the newest value, more than 0 and at most 1 (1 = no smoothing)."""


class Window(Model):
    """The last few values that the criterion has seen."""

    example: ClassVar[str] = "{window: 3}"

    window: Annotated[int, Field(ge=1, le=1000, strict=True)]
    """Number of values, 1 to 1000 (1 = no smoothing); until so many are there, those that are."""


class Smoothing(Model):
    """How a metric is smoothed before it is judged."""

    example: ClassVar[str] = "{mean: {window: 3}}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE)

    ema: Ema | None = None
    """Exponential moving average."""
    mean: Window | None = None
    """Mean of the last values."""
    median: Window | None = None
    """Median of the last values."""


class StartAfter(Model):
    """A gate: while closed, a criterion sees nothing and does not stop. Judged anew at every observation."""

    example: ClassVar[str] = "{epoch: 3}"
    choice: ClassVar[Choice] = Choice(HowMany.EXACTLY_ONE, of=("epoch", "step", "metric"))

    epoch: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Open once so many epochs are finished: for reports in later epochs (0 = always open)."""
    step: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Open for reports after more than so many optimizer steps (0 = always open)."""
    metric: MetricName | None = None
    """Open while this metric is `below` or `above` a value."""
    below: Number | None = None
    """Open while the metric is less than this value; goes with `metric`."""
    above: Number | None = None
    """Open while the metric is greater than this value; goes with `metric`."""
    when_missing: WhenMissing = WhenMissing.ERROR
    """An observation without the gate's metric is an Error, or the gate is closed for it (Ignore)."""

    @model_validator(mode="after")
    def _bound_goes_with_metric(self) -> Self:
        bounds = [name for name in ("below", "above") if getattr(self, name) is not None]
        if self.metric is None and bounds:
            raise ValueError(f"{bounds[0]}: goes with metric only")
        if self.metric is not None and len(bounds) != 1:
            got = " and ".join(bounds) or "none"
            raise ValueError(f"metric: must name exactly one of below, above; got {got}")
        return self


class Watched(Model):
    """Parameters of every criterion that reads a metric."""

    monitor: MetricName | None = None
    """Name of the metric as reported. Default: `stopping.monitor`."""
    when_missing: WhenMissing = WhenMissing.ERROR
    """An observation without the metric is an Error, or is not seen by this criterion (Ignore)."""

    @property
    def other_metrics(self) -> tuple[str, ...]:
        """Names of the metrics that it reads besides `monitor`."""
        return ()


class Monitored(Watched):
    """Parameters of every criterion that judges values of a metric."""

    by_length: ClassVar[bool] = False
    """Whether it asks how much of the run is done."""

    mode: Mode | None = None
    """Better is `min` or `max`. Default: `stopping.mode`."""
    smoothing: Smoothing | None = None
    """Smooth the metric first. Default: `stopping.smoothing`; `mean: {window: 1}` switches it off."""
    non_finite: NonFinite | None = None
    """NaN or infinity: Stop, Count against the run, or Ignore. Default: `stopping.nonFinite`."""
