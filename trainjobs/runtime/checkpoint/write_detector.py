"""Whether weights, buffers and moments are what they were at an earlier place of the epoch."""

import torch

from trainjobs.runtime.checkpoint.sums import are_same
from trainjobs.runtime.checkpoint.tracked import Tracked


class WriteDetector:
    """Compares what is tracked with what it was at two places: the epoch's beginning, and the last `mark`."""

    def __init__(self, tracked: Tracked) -> None:
        self._tracked = tracked
        self._epoch_sums: list[torch.Tensor] | None = None
        self._versions: tuple[tuple[int, int], ...] = ()
        self._weight_sums: list[torch.Tensor] | None = None

    def mark_epoch(self) -> None:
        """An epoch begins here."""
        self._epoch_sums = self._tracked.heavy_sums()
        self.mark()

    def mark(self) -> None:
        """A resumed function would come back to a place where the weights are those of now."""
        self._versions, self._weight_sums = self._tracked.weights(), self._tracked.weight_sums()

    @property
    def versions_unchanged(self) -> bool:
        """Whether weights and buffers lie where they lay at the mark, unwritten as torch counts; asks no device."""
        return self._tracked.weights() == self._versions

    @property
    def weights_unchanged(self) -> bool:
        """Whether no weight or buffer was written since the mark, by whatever way."""
        return self.versions_unchanged and are_same(self._weight_sums, self._tracked.weight_sums())

    @property
    def epoch_unchanged(self) -> bool:
        """Whether models and optimizers are those of the epoch's beginning."""
        return are_same(self._epoch_sums, self._tracked.heavy_sums())
