"""How long a run is, in epochs or in steps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from trainjobs.api.status import Baseline

T = TypeVar("T")


class Unit(StrEnum):
    """What a run's length counts."""

    EPOCH = "epoch"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Length:
    """What a run trains when nothing stops it earlier."""

    amount: int
    unit: Unit

    @classmethod
    def of(cls, max_epochs: int | None, max_steps: int | None) -> Self:
        """The length of whichever is given. Raises ValueError for neither."""
        if max_steps is not None:
            return cls(max_steps, Unit.STEP)
        if max_epochs is None:
            raise ValueError("a run's length is maxEpochs or maxSteps; got neither")
        return cls(max_epochs, Unit.EPOCH)

    def named(self, epochs: T, steps: T) -> T:
        """The one of the two that is in this length's unit."""
        return epochs if self.unit is Unit.EPOCH else steps

    @property
    def field(self) -> str:
        """As the manifest says it."""
        return self.named("maxEpochs", "maxSteps")

    @property
    def baseline(self) -> Baseline:
        """What is saved is measured against it."""
        return self.named(Baseline.MAX_EPOCHS, Baseline.MAX_STEPS)
