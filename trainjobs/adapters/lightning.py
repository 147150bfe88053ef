"""Lightning: `EarlyStopping` in the place of Lightning's own, by the same arguments."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from trainjobs.adapters.arguments import Arguments, Criteria
from trainjobs.adapters.judged_run import JudgedRun, Place
from trainjobs.adapters.kept_run import Terms, begin
from trainjobs.coordination import Decision


class EarlyStopping(Callback):
    """Stops all ranks at one step, and keeps why in a run directory.

        trainer = Trainer(callbacks=[EarlyStopping("val_loss", patience=5)])

    Reports are the trainer's `callback_metrics`, averaged over the ranks. The trainer's `min_epochs` and `min_steps`
    are those of the criteria.

    Args:
        monitor, min_delta, patience, mode, strict, check_finite, stopping_threshold, divergence_threshold: as of
            Lightning's EarlyStopping.
        verbose: print a line for each report, on rank 0.
        check_on_train_epoch_end: report at the end of a training epoch instead of a validation. Default: as Lightning.
        criteria: judge by these instead, as a manifest writes them, or by those of a manifest's path.
        run_dir: where rank 0 keeps the run; an earlier one there is moved aside.
    """

    def __init__(
        self,
        monitor: str,
        min_delta: float = 0.0,
        patience: int = 3,
        verbose: bool = False,
        mode: str = "min",
        strict: bool = True,
        check_finite: bool = True,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
        check_on_train_epoch_end: bool | None = None,
        *,
        criteria: Criteria = None,
        run_dir: str | PathLike[str] = "runs/lightning",
    ) -> None:
        self._arguments: dict[str, Any] = {
            "monitor": monitor,
            "mode": mode,
            "min_delta": min_delta,
            "patience": patience,
            "strict": strict,
            "check_finite": check_finite,
            "stopping_threshold": stopping_threshold,
            "divergence_threshold": divergence_threshold,
        }
        self._criteria = criteria
        self._run_dir = Path(run_dir)
        self._verbose = verbose
        self._on_train_epoch_end = check_on_train_epoch_end
        self._run: JudgedRun | None = None
        self._step = 0

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on, or where it came to its length."""
        return self._run.decision if self._run else None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook, as all below."""
        if self._on_train_epoch_end is None:
            self._on_train_epoch_end = (
                trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if getattr(trainer, "fast_dev_run", 0):  # which Lightning does not declare
            return
        arguments = Arguments(**self._arguments, min_epochs=trainer.min_epochs, min_steps=trainer.min_steps)
        self._step = trainer.global_step
        self._run = begin(
            Terms(
                name="lightning",
                stopping=arguments.stopping(self._criteria),
                run_dir=self._run_dir,
                max_epochs=trainer.max_epochs,
                max_steps=trainer.max_steps,
                verbose=self._verbose,
            ),
            Place(trainer.current_epoch, trainer.global_step),
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        while self._run is not None and self._step < trainer.global_step:
            self._step += 1
            trainer.should_stop |= self._run.poll(_place(trainer))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._on_train_epoch_end:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._on_train_epoch_end:
            self._report(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._run is not None:
            self._run.end(Place(trainer.current_epoch, trainer.global_step))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._run is not None:
            self._run.fail(exception)

    def _report(self, trainer: Trainer) -> None:
        if self._run is None or trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if torch.as_tensor(value).numel() == 1
        }
        trainer.should_stop |= self._run.report(_place(trainer), metrics).leave


def _place(trainer: Trainer) -> Place:
    return Place(trainer.current_epoch + 1, trainer.global_step, whole=trainer.is_last_batch)
