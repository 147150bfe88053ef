"""Ray Train: `EarlyStopping` for the training function of a `TorchTrainer` of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import ray.train

from trainjobs.adapters.loop import LoopStopping


class EarlyStopping(LoopStopping):
    """Stops all workers at one step, and keeps why in a run directory.

        def train(config):
            with EarlyStopping("val_loss", patience=3, max_epochs=100, run_dir="/shared/run") as stopping:
                for epoch in range(stopping.epoch, 100):
                    for x, y in loader:
                        ...
                        if stopping.step():
                            return
                    if stopping.report({"val_loss": loss}, checkpoint=checkpoint):
                        return

    `run_dir` is on the disk of the worker of rank 0. For the other arguments see `LoopStopping`.
    """

    name: ClassVar[str] = "ray"

    def report(self, metrics: Mapping[str, float], *, amid: bool = False, **options: Any) -> bool:
        """In the place of `ray.train.report`, which gets the means over the workers; whether to leave. Collective.

        Args:
            metrics: numbers, or tensors of one element.
            amid: the epoch goes on after this report.
            options: further arguments of `ray.train.report`, such as `checkpoint`.
        """
        judged = self._judge(metrics, whole=not amid)
        ray.train.report(dict(judged.metrics), **options)
        return judged.leave
