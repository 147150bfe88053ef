"""What a training loop of one's own asks: `step()` after each optimizer step, `report()` after each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from trainjobs.adapters.arguments import Arguments, Criteria
from trainjobs.adapters.judged_run import START, JudgedRun, Judgement, Place
from trainjobs.adapters.kept_run import Terms, begin
from trainjobs.coordination import Decision


class LoopStopping:
    """What the adapters for loops of one's own share. All ranks make the same calls in the same order.

    Use it as a context, or call `end()` after the training: the run is over then.

    Args:
        monitor: name of the metric that is judged.
        max_epochs, max_steps: the training's length, of which one is given; the baseline of what is saved.
        arguments: patience, min_delta, mode, baseline, start_from_epoch, stopping_threshold, divergence_threshold,
            check_finite: see docs/adapters.md.
        criteria: judge by these instead, as a manifest writes them, or by those of a manifest's path.
        run_dir: where rank 0 keeps the run; an earlier one there is moved aside. Default: `runs/` and the framework.
        verbose: print a line for each report, on rank 0.
    """

    name: ClassVar[str]
    """The framework's."""

    def __init__(
        self,
        monitor: str,
        *,
        max_epochs: int | None = None,
        max_steps: int | None = None,
        criteria: Criteria = None,
        run_dir: str | PathLike[str] | None = None,
        verbose: bool = False,
        **arguments: Any,
    ) -> None:
        self._terms = Terms(
            name=self.name,
            stopping=Arguments(monitor=monitor, **arguments).stopping(criteria),
            run_dir=Path(run_dir or f"runs/{self.name}"),
            max_epochs=max_epochs,
            max_steps=max_steps,
            verbose=verbose,
        )
        self._run: JudgedRun | None = None
        self._at = START
        """Finished epochs and steps."""

    @property
    def epoch(self) -> int:
        """Finished epochs: where a loop that has loaded this state goes on."""
        return self._at.epochs

    @property
    def decision(self) -> Decision | None:
        """What has ended the run; None while it goes on, or where it came to its length."""
        return self._run.decision if self._run else None

    def step(self) -> bool:
        """An optimizer step is done: whether to leave the training here, on every rank. About a microsecond."""
        run = self._begun()
        self._at = Place(self._at.epochs + 1, self._at.step + 1, whole=False)
        return run.poll(self._at)

    def end(self) -> None:
        """The training is over. Collective."""
        self._begun().end(self._at)

    def state_dict(self) -> dict[str, Any]:
        """For the framework's checkpoints: where the training is."""
        return {"epochs": self._at.epochs, "step": self._at.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on there; before the first step or report."""
        self._at = Place(state["epochs"], state["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.end()
        elif self._run is not None:
            self._run.fail(error)

    def _judge(self, metrics: Mapping[str, float], *, whole: bool = True) -> Judgement:
        """Report metrics. `whole`: the epoch is over; else the report is one amid its steps."""
        run = self._begun()
        self._at = Place(self._at.epochs + 1, self._at.step, whole)
        return run.report(self._at, {name: float(value) for name, value in metrics.items()})

    def _begun(self) -> JudgedRun:
        if self._run is None:
            self._run = begin(self._terms, self._at)
        return self._run
