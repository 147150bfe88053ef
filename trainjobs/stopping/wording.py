"""Numbers and moments in sentences."""

from typing import Protocol

from trainjobs.api.length import Unit


class Moment(Protocol):
    """What has its place in a run."""

    @property
    def epoch(self) -> int: ...

    @property
    def step(self) -> int: ...


def number(value: float) -> str:
    """Six significant digits, trailing zeros left out: 0.412, 1e-05, nan; no -0. Whole numbers are written out."""
    return str(value) if isinstance(value, int) else f"{value + 0.0:.6g}"


def reports(count: int) -> str:
    """Such as "1 report", "5 reports"."""
    return f"{count} report" if count == 1 else f"{count} reports"


def other_trials(count: int) -> str:
    """Such as "1 other trial", "5 other trials"."""
    return f"{count} other trial" if count == 1 else f"{count} other trials"


def when(moment: Moment, unit: Unit) -> str:
    """Such as "epoch 3", or "step 400" in a run whose length is one of steps."""
    return f"{unit} {moment.epoch if unit is Unit.EPOCH else moment.step}"
