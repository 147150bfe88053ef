"""All criteria across trials together: the histories in, one ruling out.

A field `x_y: Parameters | None` of `api.pruning.PruningCriterion` is judged by the class `Parameters` in the module
`trainjobs.stopping.across.x_y`. That is the whole registration of a family.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Self, cast

from trainjobs.api.pruning import Objective, Pruning, PruningCriterion
from trainjobs.stopping.across.comparison import Across, Comparison
from trainjobs.stopping.across.curve import Curve
from trainjobs.stopping.observation import History
from trainjobs.stopping.panel import Finding


@dataclass(frozen=True, slots=True)
class PruningRuling:
    """What all criteria say of a trial at its last report."""

    prune: Finding | None
    """The first criterion, in the manifest's order, that prunes it; None if it goes on."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class PruningPanel:
    """The judges of a sweep. They remember nothing: the same curves give the same ruling."""

    pruning: Pruning
    objective: Objective
    judges: tuple[tuple[PruningCriterion, Across], ...]

    @classmethod
    def of(cls, pruning: Pruning, objective: Objective) -> Self:
        return cls(pruning, objective, tuple((one, _built(one)) for one in pruning.criteria))

    def judge(self, trial: str, curves: Mapping[str, Curve]) -> PruningRuling:
        """Judge a trial among `curves`, its own one included."""
        mine = curves[trial]
        gate = self.pruning.start_after.epoch
        if mine.epoch <= gate:
            return PruningRuling(None)
        others = {name: curve for name, curve in curves.items() if name != trial}
        seen = Comparison(trial, mine, others, self.objective, self.pruning.min_trials)
        findings = tuple(
            Finding(one.key, one.key, one.shadow, judge.judge(seen)) for one, judge in self.judges
        )
        return PruningRuling(next((f for f in findings if f.verdict.stop and not f.shadow), None), findings)


def judge(
    trial: str, histories: Mapping[str, History], objective: Objective, pruning: Pruning
) -> PruningRuling:
    """Judge one trial by the histories of all, its own one included."""
    curves = {name: Curve.of(history, objective) for name, history in histories.items()}
    return PruningPanel.of(pruning, objective).judge(trial, curves)


def _built(criterion: PruningCriterion) -> Across:
    fields = type(criterion).model_fields
    name = next(name for name in fields if (fields[name].alias or name) == criterion.key)
    family = getattr(import_module(f"trainjobs.stopping.across.{name}"), type(criterion.parameters).__name__)
    return cast("Across", family(criterion.parameters))
