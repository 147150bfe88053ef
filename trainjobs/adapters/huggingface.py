"""Hugging Face: `EarlyStoppingCallback` in the place of the one in transformers, by the same arguments."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainjobs.adapters.arguments import Arguments, Criteria
from trainjobs.adapters.judged_run import JudgedRun, Place
from trainjobs.adapters.kept_run import Terms, begin
from trainjobs.coordination import Decision

_EPS = 1e-6
"""Of an epoch: `state.epoch` is a sum of fractions."""


class EarlyStoppingCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
    """Stops all ranks at one step, and keeps why in a run directory.

        trainer = Trainer(..., callbacks=[EarlyStoppingCallback(early_stopping_patience=3)])

    Judges the TrainingArguments' `metric_for_best_model` (the loss, if it names none) by its `greater_is_better`.
    Reports are the metrics of each evaluation during the training, those named `eval_…`, averaged over the ranks.

    Args:
        early_stopping_patience, early_stopping_threshold: as of transformers' EarlyStoppingCallback.
        criteria: judge by these instead, as a manifest writes them, or by those of a manifest's path.
        run_dir: where rank 0 keeps the run; an earlier one there is moved aside.
        verbose: print a line for each report, on rank 0.
    """

    def __init__(
        self,
        early_stopping_patience: int = 1,
        early_stopping_threshold: float | None = 0.0,
        *,
        criteria: Criteria = None,
        run_dir: str | PathLike[str] = "runs/huggingface",
        verbose: bool = False,
    ) -> None:
        self._patience = early_stopping_patience
        self._threshold = early_stopping_threshold or 0.0
        self._criteria = criteria
        self._run_dir = Path(run_dir)
        self._verbose = verbose
        self._run: JudgedRun | None = None
        self._training = False

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on, or where it came to its length."""
        return self._run.decision if self._run else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The Trainer's event, as all below."""
        metric = args.metric_for_best_model or "loss"
        arguments = Arguments(
            monitor=metric if metric.startswith("eval_") else f"eval_{metric}",
            mode="max" if args.greater_is_better else "min",
            patience=self._patience,
            min_delta=self._threshold,
            check_finite=False,
            strict=False,
        )
        terms = Terms(
            name="huggingface",
            stopping=arguments.stopping(self._criteria),
            run_dir=self._run_dir,
            max_epochs=None if args.max_steps > 0 else math.ceil(args.num_train_epochs),
            max_steps=args.max_steps,
            verbose=self._verbose,
        )
        at = _place(state)
        self._run = begin(terms, Place(at.epochs, at.step))
        self._training = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._run is not None and self._run.poll(_place(state)):
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        if self._run is None or not self._training:
            return
        numbers = {
            name: float(value)
            for name, value in metrics.items()
            if name.startswith("eval_") and isinstance(value, int | float)
        }
        if self._run.report(_place(state), numbers).leave:
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._training = False
        if self._run is not None:
            self._run.end(_place(state))


def _place(state: TrainerState) -> Place:
    epoch = state.epoch or 0.0
    return Place(math.ceil(epoch - _EPS), state.global_step, whole=abs(epoch - round(epoch)) < _EPS)
