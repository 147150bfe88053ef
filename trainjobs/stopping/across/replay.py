"""What pruning would have done to trials that were trained to their ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan

from trainjobs.api.monitoring import Mode
from trainjobs.api.pruning import At, Objective, Pruning
from trainjobs.stopping.across.curve import Curve, shown
from trainjobs.stopping.across.panel import PruningPanel
from trainjobs.stopping.observation import History, Observation


@dataclass(frozen=True, slots=True)
class Pruned:
    """A trial that would have been pruned."""

    trial: str
    epoch: int
    """The last one that it would have trained."""
    criterion: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best trial, and the report that makes it so."""

    trial: str
    seen: Observation


@dataclass(frozen=True, slots=True)
class ReplayedSweep:
    """A sweep of the same trials with pruning."""

    pruned: tuple[Pruned, ...]
    """In the order in which it would have happened."""
    epochs: int
    """Trained, of all trials together."""
    recorded: int
    """Trained without pruning."""
    chosen: Chosen | None
    """The best trial by what would have been seen; None where no trial has a finite objective."""
    best: Chosen | None
    """The best of all by what was recorded."""

    def regret(self, metric: str, mode: Mode) -> float | None:
        """How much worse this metric is at the chosen report than at the best one, in its units; None where it was
        not reported. Never negative for the objective."""
        if self.chosen is None or self.best is None:
            return None
        found, least = self.chosen.seen.metrics.get(metric), self.best.seen.metrics.get(metric)
        if found is None or least is None:
            return None
        return found - least if mode is Mode.MIN else least - found


def replay(histories: Mapping[str, History], objective: Objective, pruning: Pruning) -> ReplayedSweep:
    """Train the trials again side by side: all report an epoch, then each is judged, and the next epoch begins.

    A trial that is pruned reports no more. In a real sweep trials are at different epochs, and what a trial is compared
    with depends on who was faster; this is the sweep in which nobody is.
    """
    panel = PruningPanel.of(pruning, objective)
    epochs = {name: _by_epoch(history) for name, history in histories.items()}
    seen: dict[str, list[Observation]] = {name: [] for name in histories}
    curves = dict.fromkeys(histories, Curve())
    ended: dict[str, Pruned] = {}
    for epoch in sorted({each for found in epochs.values() for each in found}):
        running = [name for name in histories if name not in ended and epoch in epochs[name]]
        for name in running:
            seen[name] += epochs[name][epoch]
            curves[name] = curves[name].after(epochs[name][epoch], objective)
        for name in running:
            if curves[name].epoch == epoch and (found := panel.judge(name, curves).prune):
                ended[name] = Pruned(name, epoch, found.name, found.verdict.reason)
    whole = {name: Curve.of(history, objective) for name, history in histories.items()}
    return ReplayedSweep(
        tuple(ended.values()),
        sum(history[-1].epochs for history in seen.values() if history),
        sum(history[-1].epochs for history in histories.values() if history),
        _chosen(seen, curves, objective),
        _chosen(histories, whole, objective),
    )


def _by_epoch(history: Iterable[Observation]) -> dict[int, list[Observation]]:
    found: dict[int, list[Observation]] = {}
    for each in history:
        found.setdefault(each.epoch, []).append(each)
    return found


def _chosen(
    histories: Mapping[str, History], curves: Mapping[str, Curve], objective: Objective
) -> Chosen | None:
    standings = {name: curve.standings[-1] for name, curve in curves.items() if curve.epochs}
    name = min(standings, key=standings.__getitem__, default=None)
    if name is None or isnan(value := shown(standings[name], objective.mode)):
        return None
    told = [each for each in histories[name] if each.whole and objective.metric in each.metrics]
    if objective.at is At.LAST:
        return Chosen(name, told[-1])
    return Chosen(name, next(each for each in told if each.metrics[objective.metric] == value))
