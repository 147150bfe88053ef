"""Keras 3 on torch: `EarlyStopping` in the place of Keras' own, by the same arguments."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import keras

from trainjobs.adapters.arguments import Arguments, Criteria
from trainjobs.adapters.judged_run import JudgedRun, Place
from trainjobs.adapters.kept_run import Terms, begin
from trainjobs.coordination import Decision


class EarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # Keras is untyped
    """Stops all ranks at one step, and keeps why in a run directory.

        model.fit(..., callbacks=[EarlyStopping("val_loss", patience=3, restore_best_weights=True)])

    Reports are the logs of each epoch, averaged over the ranks.

    Args:
        monitor, min_delta, patience, verbose, mode, baseline, restore_best_weights, start_from_epoch: as of Keras'
            EarlyStopping; the best weights are those of the best report.
        criteria: judge by these instead, as a manifest writes them, or by those of a manifest's path.
        run_dir: where rank 0 keeps the run; an earlier one there is moved aside.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        *,
        criteria: Criteria = None,
        run_dir: str | PathLike[str] = "runs/keras",
    ) -> None:
        super().__init__(
            *(monitor, min_delta, patience, verbose, mode, baseline, restore_best_weights, start_from_epoch)
        )
        self._criteria = criteria
        self._run_dir = Path(run_dir)
        self._run: JudgedRun | None = None
        self._at = Place(0, 0)

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on, or where it came to its length."""
        return self._run.decision if self._run else None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook, as all below."""
        self._run, self.best_weights, self._at = None, None, Place(0, 0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begun_at = self._at.step if self._run else epoch * (self.params["steps"] or 0)
        if self._run is None:
            self._at = Place(epoch, self._begun_at)
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        run = self._begun()
        while self._at.step < self._begun_at + batch + 1:
            self._at = Place(self._epoch, self._at.step + 1, whole=False)
            if run.poll(self._at):
                self.model.stop_training = True
                return

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        run = self._begun()
        if not self.model.stop_training:
            self._at = Place(self._epoch, self._at.step)
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        judged = run.report(self._at, metrics)
        if judged.best and self.restore_best_weights and self._epoch > self.start_from_epoch:
            self.best_weights = self.model.get_weights()
        if judged.leave:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        if self._run is not None:
            self._run.end(self._at)

    def _begun(self) -> JudgedRun:
        """After the first batch, when Keras knows which way its metrics are better."""
        if self._run is None:
            self._set_monitor_op()
            arguments = Arguments(
                monitor=self.monitor,
                mode="max" if self.monitor_op is keras.ops.greater else "min",
                patience=self.patience,
                min_delta=self.min_delta,
                baseline=self.baseline,
                start_from_epoch=self.start_from_epoch,
                check_finite=False,
                strict=False,
            )
            terms = Terms(
                name="keras",
                stopping=arguments.stopping(self._criteria),
                run_dir=self._run_dir,
                max_epochs=self.params["epochs"],
                max_steps=None,
                verbose=bool(self.verbose),
            )
            self._run = begin(terms, Place(self._epoch - 1, self._begun_at))
        return self._run
