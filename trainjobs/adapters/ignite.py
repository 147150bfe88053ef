"""Ignite: `EarlyStopping` in the place of Ignite's own, by the same arguments."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from trainjobs.adapters.arguments import Arguments, Criteria
from trainjobs.adapters.judged_run import JudgedRun, Place
from trainjobs.adapters.kept_run import Terms, begin
from trainjobs.coordination import Decision

SCORE = "score"
"""The metric that `score_function` gives."""


class EarlyStopping:
    """Stops all ranks at one iteration, and keeps why in a run directory.

        handler = EarlyStopping(3, lambda engine: -engine.state.metrics["loss"], trainer)
        evaluator.add_event_handler(Events.COMPLETED, handler)

    Reports are the score, which is judged, and the evaluator's metrics that are numbers, averaged over the ranks.

    Args:
        patience, score_function, trainer, threshold, cumulative, threshold_mode, mode: as of Ignite's EarlyStopping; a
            threshold must be cumulative.
        criteria: judge by these instead, as a manifest writes them, or by those of a manifest's path.
        run_dir: where rank 0 keeps the run; an earlier one there is moved aside.
        verbose: print a line for each report, on rank 0.
    """

    def __init__(
        self,
        patience: int,
        score_function: Callable[[Engine], float],
        trainer: Engine,
        threshold: float = 0.0,
        cumulative: bool = False,
        threshold_mode: str = "abs",
        mode: str = "max",
        *,
        criteria: Criteria = None,
        run_dir: str | PathLike[str] = "runs/ignite",
        verbose: bool = False,
    ) -> None:
        if threshold and not cumulative:
            raise ValueError(
                "EarlyStopping(cumulative=False): no criterion measures a threshold from the value before; "
                "say cumulative=True, or no threshold"
            )
        arguments = Arguments(
            monitor=SCORE,
            mode=mode,
            patience=patience,
            min_delta=threshold,
            relative=threshold_mode == "rel",
            check_finite=False,
        )
        self._stopping = arguments.stopping(criteria)
        self._score = score_function
        self._trainer = trainer
        self._run_dir = Path(run_dir)
        self._verbose = verbose
        self._run: JudgedRun | None = None
        trainer.add_event_handler(Events.STARTED, self._begin)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._poll)
        trainer.add_event_handler(Events.TERMINATE | Events.COMPLETED, self._end)

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on, or where it came to its length."""
        return self._run.decision if self._run else None

    def __call__(self, engine: Engine) -> None:
        """An evaluation is over."""
        if self._run is None:
            return
        numbers = {name: float(value) for name, value in engine.state.metrics.items() if _is_number(value)}
        metrics = {**numbers, SCORE: float(self._score(engine))}
        if self._run.report(self._place(), metrics).leave:
            self._trainer.terminate()

    def attach(self, engine: Engine, event: Any = Events.COMPLETED) -> None:
        """Judge when the evaluator has come to this event."""
        engine.add_event_handler(event, self)

    def _begin(self) -> None:
        state = self._trainer.state
        terms = Terms(
            name="ignite",
            stopping=self._stopping,
            run_dir=self._run_dir,
            max_epochs=state.max_epochs,
            max_steps=getattr(state, "max_iters", None),
            verbose=self._verbose,
        )
        self._run = begin(terms, Place(state.epoch, state.iteration))

    def _poll(self) -> None:
        if self._run is not None and self._run.poll(self._place()):
            self._trainer.terminate()

    def _end(self) -> None:
        if self._run is not None:
            self._run.end(self._place())

    def _place(self) -> Place:
        state = self._trainer.state
        whole = not state.epoch_length or state.iteration % state.epoch_length == 0
        return Place(state.epoch, state.iteration, whole)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.numel() == 1)
