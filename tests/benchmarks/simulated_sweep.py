"""A sweep played from recorded curves: trials side by side in a few slots, each report put to a scheduler of Ray Tune.

The loop is that of Tune's controller as far as schedulers can see it. Trials wait in their order; a free slot gets the
trial that the scheduler chooses; after every epoch the scheduler says CONTINUE, PAUSE (the slot is free, the trial goes
on later where it was) or STOP. An epoch takes each trial its own time: reports come in another order than the trials.
Every epoch that was trained counts once. Nothing but the scheduler decides.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial as Status
from ray.tune.schedulers import TrialScheduler


@dataclass(frozen=True)
class Recorded:
    """What a trial would report if nobody stopped it: one value an epoch."""

    name: str
    validation: Sequence[float]
    test: Sequence[float]
    seconds: float = 1.0
    """Of an epoch."""


@dataclass(eq=False)
class Trial:
    """A trial as schedulers see it."""

    recorded: Recorded
    status: str = str(Status.PENDING)
    epoch: int = 0
    """Trained until now."""
    is_saving: bool = False

    @property
    def trial_id(self) -> str:
        return self.recorded.name

    @property
    def is_over(self) -> bool:
        return self.status == Status.TERMINATED


@dataclass
class Sweep:
    """The trials, and what schedulers may ask of Tune's controller."""

    scheduler: TrialScheduler
    recorded: Sequence[Recorded]
    metric: str
    slots: int
    trials: list[Trial] = field(default_factory=list)

    def get_trials(self) -> list[Trial]:
        return self.trials

    def get_live_trials(self) -> list[Trial]:
        return [trial for trial in self.trials if not trial.is_over]

    def stop_trial(self, trial: Trial) -> None:
        """End a trial, and tell the scheduler so as Tune does."""
        if trial.is_over:
            return
        was, trial.status = trial.status, str(Status.TERMINATED)
        if was == Status.RUNNING:
            self.scheduler.on_trial_complete(self, trial, self._result(trial))
        else:
            self.scheduler.on_trial_remove(self, trial)

    def play(self) -> dict[str, int]:
        """Epochs trained by every trial. Raises RuntimeError if the scheduler leaves trials that never end."""
        for recorded in self.recorded:
            self.trials.append(Trial(recorded))
            self.scheduler.on_trial_add(self, self.trials[-1])
        reports: list[tuple[float, int, Trial]] = []
        self._start(0.0, reports)
        while reports:
            now, _, trial = heapq.heappop(reports)
            self._report(trial)
            if trial.status == Status.RUNNING:
                self._train(now, trial, reports)
            self._start(now, reports)
        if stuck := self.get_live_trials():
            raise RuntimeError(
                f"{len(stuck)} trials are neither trained nor ended, {stuck[0].trial_id} first"
            )
        return {trial.trial_id: trial.epoch for trial in self.trials}

    def _start(self, now: float, reports: list[tuple[float, int, Trial]]) -> None:
        while len(reports) < self.slots and (trial := self.scheduler.choose_trial_to_run(self)):
            trial.status = str(Status.RUNNING)
            self._train(now, trial, reports)

    def _train(self, now: float, trial: Trial, reports: list[tuple[float, int, Trial]]) -> None:
        heapq.heappush(reports, (now + trial.recorded.seconds, self.trials.index(trial), trial))

    def _report(self, trial: Trial) -> None:
        trial.epoch += 1
        said = self.scheduler.on_trial_result(self, trial, self._result(trial))
        if said == TrialScheduler.STOP or trial.epoch == len(trial.recorded.validation):
            self.stop_trial(trial)
        elif said == TrialScheduler.PAUSE:
            trial.status = str(Status.PAUSED)

    def _result(self, trial: Trial) -> Mapping[str, Any]:
        value = trial.recorded.validation[trial.epoch - 1]
        return {self.metric: value, "epoch": trial.epoch, "training_iteration": trial.epoch}


@dataclass(frozen=True)
class Judged:
    """What a sweep came to."""

    regret: float
    """Test metric of the best trial of all, trained to its end, minus that of the chosen one."""
    compute: float
    """Epochs trained, as a share of all epochs of all trials."""


def judged(recorded: Sequence[Recorded], epochs: Mapping[str, int], sign: int) -> Judged:
    """By what was trained of every trial.

    Args:
        recorded: the trials.
        epochs: how many of each were trained.
        sign: 1 if a greater validation metric is better, else -1. Of the test metric the greater is better.
    """
    seen = [(trial, best(trial, epochs[trial.name], sign)) for trial in recorded if epochs[trial.name]]
    chosen, at = min(seen, key=lambda one: cost(one[0].validation[one[1]], sign))
    finished = [trial.test[best(trial, len(trial.validation), sign)] for trial in recorded]
    trained, whole = sum(epochs.values()), sum(len(trial.validation) for trial in recorded)
    return Judged(max(finished) - chosen.test[at], trained / whole)


def best(trial: Recorded, epochs: int, sign: int) -> int:
    """Index of the epoch with the best validation metric among the first ones; the earliest of equals."""
    return min(range(epochs), key=lambda i: cost(trial.validation[i], sign))


def cost(value: float, sign: int) -> float:
    """Smaller is better; NaN and infinity are worst."""
    return -sign * value if math.isfinite(value) else math.inf
