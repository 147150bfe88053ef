"""Accelerate: `EarlyStopping` for the training loop of one's own that Accelerate is used in."""

from __future__ import annotations

from typing import Any, ClassVar

from accelerate import Accelerator

from trainjobs.adapters.loop import LoopStopping


class EarlyStopping(LoopStopping):
    """Stops all ranks at one step, and keeps why in a run directory.

        with EarlyStopping(accelerator, "val_loss", patience=3, max_epochs=100) as stopping:
            for epoch in range(stopping.epoch, 100):
                for x, y in loader:
                    ...
                    if stopping.step():
                        break
                if stopping.report(val_loss=loss):
                    break

    It is registered for the accelerator's checkpoints: after `accelerator.load_state`, before the loop, the run goes on
    there.

    Args:
        accelerator: tells which batches are optimizer steps while gradients are accumulated.
        arguments: see `LoopStopping`.
    """

    name: ClassVar[str] = "accelerate"

    def __init__(self, accelerator: Accelerator, monitor: str, **arguments: Any) -> None:
        super().__init__(monitor, **arguments)
        self._accelerator = accelerator
        accelerator.register_for_checkpointing(self)

    def step(self) -> bool:
        """A batch is done: whether to leave the training here, on every rank."""
        return bool(self._accelerator.sync_gradients) and super().step()

    def report(self, *, amid: bool = False, **metrics: float) -> bool:
        """Take the means of metrics over the ranks, keep and judge them; whether to leave. Collective.

        Args:
            amid: the epoch goes on after this report.
            metrics: numbers, or tensors of one element.
        """
        return self._judge(metrics, whole=not amid).leave
