"""The rules that `pruning_quality` compares, all as schedulers of Ray Tune: its own, ours, and Optuna's pruners in one.

Each factory takes the metric, its mode (`min` or `max`), the epochs of a whole trial and a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from ray.tune.experiment import Trial as Status
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from trainjobs.sweeps.scheduling import CriteriaStopper, PruningScheduler

Factory = Callable[[str, str, int, int], TrialScheduler]
CONTINUE, PAUSE, STOP = TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.STOP


def ours(stopping: list[Any] | None = None, **pruning: Any) -> Factory:
    """TrainJobs' own scheduler with this `pruning`, and each trial's own criteria where some are given."""

    def made(metric: str, mode: str, epochs: int, seed: int) -> TrialScheduler:
        objective = {"metric": metric, "mode": mode}
        scheduler = PruningScheduler.of({"objective": objective, "pruning": pruning})
        if stopping is None:
            return scheduler
        document = {"monitor": metric, "mode": mode, "criteria": stopping}
        return Within(CriteriaStopper.of(document, epochs), scheduler)

    return made


class Within(FIFOScheduler):  # type: ignore[misc]
    """A scheduler of trials that stop by criteria of their own, too, as Tune asks a stopper."""

    def __init__(self, stopper: CriteriaStopper, inner: TrialScheduler) -> None:
        super().__init__()
        self._stopper, self._inner = stopper, inner

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_add(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        over = self._stopper(trial.trial_id, result)
        said = self._inner.on_trial_result(tune_controller, trial, result)
        return STOP if over else said


def by_ray(kind: type[TrialScheduler], *, length: str | None = None, **options: Any) -> Factory:
    """A scheduler of Ray Tune; `length` names its option for the epochs of a whole trial."""

    def made(metric: str, mode: str, epochs: int, seed: int) -> TrialScheduler:
        np.random.seed(seed)
        known = {length: epochs} if length else {}
        return kind(time_attr="training_iteration", metric=metric, mode=mode, **known, **options)

    return made


def by_optuna(pruner: Callable[[int], optuna.pruners.BasePruner]) -> Factory:
    """A pruner of Optuna, made for the epochs of a whole trial."""
    return lambda metric, mode, epochs, seed: ByOptuna(metric, mode, pruner(epochs), seed)


class ByOptuna(FIFOScheduler):
    """Every trial is one of a study, and asks its pruner at each report."""

    def __init__(self, metric: str, mode: str, pruner: optuna.pruners.BasePruner, seed: int) -> None:
        super().__init__()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._metric, self._better = metric, {"min": min, "max": max}[mode]
        sampler = optuna.samplers.RandomSampler(seed=seed)
        direction = {"min": "minimize", "max": "maximize"}[mode]
        self._study = optuna.create_study(
            study_name=f"study {seed}", direction=direction, pruner=pruner, sampler=sampler
        )
        self._asked: dict[str, optuna.Trial] = {}
        self._bests: dict[str, float] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        name, value = trial.trial_id, result[self._metric]
        asked = self._asked.get(name) or self._asked.setdefault(name, self._study.ask())
        if math.isfinite(value):
            self._bests[name] = self._better(value, self._bests.get(name, value))
        asked.report(value, result["epoch"])
        if not asked.should_prune():
            return str(CONTINUE)
        self._study.tell(self._asked.pop(name), state=optuna.trial.TrialState.PRUNED)
        return str(STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        if asked := self._asked.pop(trial.trial_id, None):
            failed = optuna.trial.TrialState.FAIL if trial.trial_id not in self._bests else None
            self._study.tell(asked, self._bests.get(trial.trial_id), state=failed)


class BestAfterOne(FIFOScheduler):
    """All trials train one epoch and wait; then only the best so many go on, to the end."""

    def __init__(self, metric: str, mode: str, keep: int) -> None:
        super().__init__()
        self._metric, self._sign, self._keep = metric, {"min": 1, "max": -1}[mode], keep
        self._first: dict[str, float] = {}

    @classmethod
    def keeping(cls, keep: int) -> Factory:
        return lambda metric, mode, epochs, seed: cls(metric, mode, keep)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id in self._first:
            return str(CONTINUE)
        value = result[self._metric]
        self._first[trial.trial_id] = self._sign * value if math.isfinite(value) else math.inf
        return str(PAUSE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        if len(self._first) == len(tune_controller.get_trials()):
            kept = sorted(self._first, key=self._first.__getitem__)[: self._keep]
            for trial in tune_controller.get_live_trials():
                if trial.trial_id not in kept:
                    tune_controller.stop_trial(trial)
            return super().choose_trial_to_run(tune_controller)
        return next((t for t in tune_controller.get_trials() if t.status == Status.PENDING), None)


def _optunas() -> dict[str, Factory]:
    pruners = optuna.pruners
    return {
        "Optuna MedianPruner": by_optuna(lambda _: pruners.MedianPruner()),
        "Optuna SuccessiveHalvingPruner": by_optuna(lambda _: pruners.SuccessiveHalvingPruner()),
        "Optuna HyperbandPruner": by_optuna(lambda epochs: pruners.HyperbandPruner(max_resource=epochs)),
        "Optuna WilcoxonPruner": by_optuna(lambda _: pruners.WilcoxonPruner()),
        "Optuna PatientPruner, Median, 5": by_optuna(
            lambda _: pruners.PatientPruner(pruners.MedianPruner(), patience=5)
        ),
    }


ASHA = "Ray ASHAScheduler"
DEFAULT = "auto, successiveHalving"
"""What docs/sweeps.md recommends."""
AUTO = [{"auto": {}}]


def _hyperband(metric: str, mode: str, epochs: int, seed: int) -> TrialScheduler:
    return ours(criteria=[{"hyperband": {"maxEpochs": epochs}}])(metric, mode, epochs, seed)


OURS: dict[str, Factory] = {
    DEFAULT: ours(AUTO, criteria=[{"successiveHalving": {}}]),
    "successiveHalving": ours(criteria=[{"successiveHalving": {}}]),
    "hyperband": _hyperband,
    "median": ours(criteria=[{"median": {}}]),
    "percentile, keep 25": ours(criteria=[{"percentile": {"keep": 25.0}}]),
    "wilcoxon": ours(criteria=[{"wilcoxon": {}}]),
    "auto alone": ours(AUTO),
}


def _asha_and_auto(metric: str, mode: str, epochs: int, seed: int) -> TrialScheduler:
    document = {"monitor": metric, "mode": mode, "criteria": AUTO}
    return Within(CriteriaStopper.of(document, epochs), THEIRS[ASHA](metric, mode, epochs, seed))


THEIRS: dict[str, Factory] = {
    ASHA: by_ray(AsyncHyperBandScheduler, length="max_t"),
    f"auto, {ASHA}": _asha_and_auto,
    "Ray AsyncHyperBand, 3 brackets": by_ray(AsyncHyperBandScheduler, length="max_t", brackets=3),
    "Ray HyperBandScheduler": by_ray(HyperBandScheduler, length="max_t"),
    "Ray MedianStoppingRule": by_ray(MedianStoppingRule, grace_period=1),
    **_optunas(),
    "best 1 after one epoch": BestAfterOne.keeping(1),
    "best 3 after one epoch": BestAfterOne.keeping(3),
    "none": lambda *_: FIFOScheduler(),
}
