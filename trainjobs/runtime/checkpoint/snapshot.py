"""The small states of a worker: all that may change between two training steps.

Weights and moments change by a step only. What changes besides (schedulers, counters, random numbers, sums of metrics)
is small enough to be copied wherever a resumed training function begins something anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from trainjobs.runtime.checkpoint import randomness
from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.meters import Meters


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The small states at one moment."""

    objects: Mapping[str, Any]
    """Of the tracked objects, by name; see `Tracked.light_states`."""
    randomness: Mapping[str, Any]
    meters: Mapping[str, Any]
    """See `Meters.state`."""

    @classmethod
    def take(cls, tracked: Tracked, meters: Meters, device: torch.device) -> Self:
        """Those of now."""
        return cls(tracked.light_states(), randomness.capture(device), meters.state())

    def restore(self, tracked: Tracked, meters: Meters, device: torch.device) -> None:
        """Go on from here."""
        tracked.load_light(self.objects)
        randomness.restore(self.randomness, device)
        meters.restore(self.meters)

    def to_dict(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        return {"objects": self.objects, "randomness": self.randomness, **self.meters}

    @classmethod
    def from_dict(cls, states: Mapping[str, Any]) -> Self:
        """The snapshot that `to_dict` wrote."""
        return cls(states["objects"], states["randomness"], states)
