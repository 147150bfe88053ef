"""The weights of the best report, from that report until they are on the storage.

A report may come where no checkpoint can be taken: amid a step, in an epoch that trains without `run.steps`, while
other weights stand in the model's place. The weights of that moment are in memory all the same, so they are copied;
the next checkpoint shows whether it holds the very same ones, or whether they need a file of their own.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.models.wrappers import own_state

States = Mapping[str, Mapping[str, Any]]
"""The states of the tracked models, by name."""


@dataclass(frozen=True, slots=True)
class BestWeights:
    """What is known of the weights of one report."""

    report: int
    """Counted from 1 over the whole history."""
    copies: States | None
    """In the host's memory; None where nobody asks for the weights at the end."""
    tracked: Tracked
    written: tuple[tuple[int, int], ...]
    """See `Tracked.weights`."""

    @classmethod
    def of(cls, report: int, tracked: Tracked, *, copied: bool) -> Self:
        """Those of now."""
        models = tracked.models().items()
        copies = {name: _copied(own_state(model)) for name, model in models} if copied else None
        return cls(report, copies, tracked, tracked.weights())

    def are_in(self, objects: Mapping[str, Any]) -> bool:
        """Whether the states of a checkpoint hold these weights."""
        if self.copies is None:
            return self.written == self.tracked.weights()
        return all(_are_same(state, objects[name]) for name, state in self.copies.items())


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for key, value in state.items()
    }


def _are_same(copied: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether all tensors are; what cannot be compared (a sparse one) counts as another."""
    try:
        return all(
            torch.equal(value.to(state[key].device), state[key])
            for key, value in copied.items()
            if isinstance(value, torch.Tensor)
        )
    except (KeyError, RuntimeError):
        return False
