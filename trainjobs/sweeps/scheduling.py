"""Stopping trials, as classes of Ray Tune.

`PruningScheduler` and `CriteriaStopper` are made from the same YAML as a TrainSweep and a TrainJob, and work with any
trainable in a script of one's own. `HaltFirst` makes any scheduler's STOP a halt of all ranks at one step, for trials
that run in a `Slot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from trainjobs.api.length import Length
from trainjobs.api.manifest import parse_stopping
from trainjobs.api.pruning import Objective, Pruning
from trainjobs.coordination import Vote
from trainjobs.exits import ConfigError
from trainjobs.runs.requests import prune_request
from trainjobs.stopping import Observation, Panel, PanelState
from trainjobs.stopping.across import Curve, PruningPanel, PruningRuling
from trainjobs.sweeps.record import SweepDirectory


class PruningScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray has no types
    """Stops a trial when a criterion across trials prunes it.

    Args:
        objective: what trials are compared by; results hold the metric and `epoch`.
        pruning: the criteria.
        curves: what is known already, by the results' `trial`, or Ray Tune's trial id where results have none.
    """

    def __init__(
        self, objective: Objective, pruning: Pruning, curves: Mapping[str, Curve] | None = None
    ) -> None:
        super().__init__()
        self._objective = objective
        self._panel = PruningPanel.of(pruning, objective)
        self._curves = dict(curves or {})
        self.ruling = PruningRuling(None)
        """The last one."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From `objective` and `pruning` as a TrainSweep's spec has them."""
        objective = Objective.model_validate(document["objective"])
        return cls(objective, Pruning.model_validate(document.get("pruning", {})))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See `TrialScheduler`."""
        name = self.note(trial, result)
        if not self._curves[name].epochs:
            return str(self.CONTINUE)
        self.ruling = self._panel.judge(name, self._curves)
        return str(self.STOP if self.ruling.prune else self.CONTINUE)

    def note(self, trial: Any, result: Mapping[str, Any]) -> str:
        """Compare others with this report, too; the trial's name."""
        name = str(result.get("trial", trial.trial_id))
        self._curves[name] = self._curves.get(name, Curve()).after((observation(result),), self._objective)
        return name


class HaltFirst(TrialScheduler):  # type: ignore[misc]
    """Any scheduler, its STOP made a coordinated halt: for Ray Tune the trial is over when all ranks have halted.

    Args:
        inner: decides.
        sweep: where requests to trials are written.
    """

    def __init__(self, inner: TrialScheduler, sweep: SweepDirectory) -> None:
        super().__init__()
        self._inner = inner
        self._sweep = sweep
        self._halting: dict[str, tuple[str, Vote]] = {}

    @property
    def metric(self) -> Any:
        return self._inner.metric

    def set_search_properties(self, *args: Any, **named: Any) -> bool:
        return bool(self._inner.set_search_properties(*args, **named))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial that comes again has lost its slot, which may have taken the request with it."""
        self._inner.on_trial_add(tune_controller, trial)
        if (asked := self._halting.get(trial.trial_id)) is not None:
            self._sweep.ask_trial(*asked)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_error(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return str(self._inner.debug_string())

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Reports that come while the ranks halt are not judged, but others are by them: they are in the history."""
        if trial.trial_id in self._halting:
            if isinstance(self._inner, PruningScheduler):
                self._inner.note(trial, result)
            return str(self.CONTINUE)
        verdict = str(self._inner.on_trial_result(tune_controller, trial, result))
        if verdict != self.STOP:
            return verdict
        name, request = str(result["trial"]), self._request(result)
        if self._sweep.ask_trial(name, request):
            self._halting[trial.trial_id] = name, request
        return str(self.CONTINUE)

    def _request(self, result: Mapping[str, Any]) -> Vote:
        if isinstance(self._inner, PruningScheduler):
            return request_of(self._inner.ruling)
        name = type(self._inner).__name__
        return prune_request(f"{name} stopped it at epoch {result.get('epoch')}", name)


class CriteriaStopper(Stopper):  # type: ignore[misc]
    """Stops each trial by the criteria of a TrainJob's `stopping`, one trial at a time."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._states: dict[str, PanelState] = {}
        self.reasons: dict[str, str] = {}
        """Why a trial was stopped, by its id."""

    @classmethod
    def of(cls, document: Mapping[str, Any], max_epochs: int | None = None) -> Self:
        """From what stands under `stopping`.

        Args:
            document: the criteria.
            max_epochs: epochs of a trial that nothing stops; criteria such as `auto` go by it.

        Raises:
            SpecError: it is no such document.
            ConfigError: a criterion goes by the length, which is not given, or is none.
        """
        if max_epochs is not None and max_epochs < 1:
            raise ConfigError(f"max_epochs: {max_epochs}: must be at least 1")
        length = None if max_epochs is None else Length.of(max_epochs, None)
        return cls(Panel.of(parse_stopping(document), length, code=Path.cwd()))

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a criterion stops the trial at this result. Raises MissingMetric."""
        state = self._panel.fold((observation(result),), self._states.get(trial_id))
        self._states[trial_id] = state
        stop = self._panel.judge(state).stop
        if stop is not None:
            self.reasons[trial_id] = stop.verdict.reason
        return stop is not None

    def stop_all(self) -> bool:
        return False


def observation(result: Mapping[str, Any]) -> Observation:
    """A result of Ray Tune as a report; without `epoch` its `training_iteration` counts."""
    numbers = {
        k: float(v) for k, v in result.items() if isinstance(v, int | float) and not isinstance(v, bool)
    }
    epoch = int(result.get("epoch", result.get("training_iteration", 1)))
    step = int(result.get("step", epoch))
    seconds = float(result.get("seconds", result.get("time_total_s", 0.0)))
    return Observation(epoch, step, seconds, numbers, bool(result.get("whole", True)))


def request_of(ruling: PruningRuling) -> Vote:
    """What a prune asks of the trial."""
    finding = ruling.prune
    assert finding is not None  # noqa: S101 - only a ruling that prunes is asked for
    verdict = finding.verdict
    return prune_request(verdict.reason, finding.name, verdict.metric, verdict.value)
