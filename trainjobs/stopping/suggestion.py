"""Which criterion to suggest to whom has runs that went on to their end: the one that would have saved most there."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final

from trainjobs.api import stopping as api
from trainjobs.stopping.auto import is_loss, losses_beside
from trainjobs.stopping.hindsight import Summary
from trainjobs.stopping.observation import History

WORTH: Final = 0.02
"""Of what the runs have gained on average: what a suggested criterion gives up on average is no more."""
FEW: Final = 20
"""Runs: of fewer, one in twenty is none, so nobody knows how badly a criterion may end."""
_PATIENCES: Final = (3, 5, 10, 15, 20, 30)
_GRID: Final[tuple[Mapping[str, Any], ...]] = (
    {"auto": {}},
    *({"plateau": {"patience": patience}} for patience in _PATIENCES),
    *({"plateau": {"patience": p, "minDelta": 0.01, "minDeltaMode": "Relative"}} for p in (5, 10, 20)),
    *({"plateau": {"patience": p, "smoothing": {"mean": {"window": 3}}}} for p in (5, 10, 20)),
    *({"generalizationLoss": {"alpha": alpha}} for alpha in (2, 5)),
    {"generalizationIncrease": {"strips": 3}},
    *({"trend": {"window": window}} for window in (10, 20)),
)


def candidates(stopping: api.Stopping, reported: Set[str]) -> tuple[api.Criterion, ...]:
    """Criteria worth a try on runs that have all reported these metrics: the manifest's own, then the usual ones.

    Raises ValueError where `stopping` has no monitor.
    """
    if stopping.monitor is None:
        raise ValueError("stopping.monitor is what candidates judge; got none")
    usual = [*_GRID, *_on_the_loss(stopping.monitor, reported)]
    own = {criterion.key: criterion for criterion in stopping.criteria}
    made = [api.Criterion.model_validate(one) for one in usual if one != {"auto": {}} or "auto" not in own]
    known = [*stopping.criteria, *made]
    return tuple(one for i, one in enumerate(known) if _same(one) not in map(_same, known[:i]))


def gained(histories: Iterable[History], metric: str) -> float:
    """How far the metric has moved from its first to its best value, on average; 0 where nothing has moved."""
    moved = []
    for history in histories:
        values = [seen.metrics[metric] for seen in history if metric in seen.metrics]
        finite = [value for value in values if abs(value) < float("inf")]
        if finite:
            moved.append(max(abs(value - finite[0]) for value in finite))
    return sum(moved) / len(moved) if moved else 0.0


def ranked(summaries: Iterable[Summary], metric: str, at_most: float) -> list[Summary]:
    """Those that give up at most so much of the metric on average, most saving first; then all others, best first."""

    def rank(summary: Summary) -> tuple[bool, float]:
        mean = summary.given_up[metric].mean if metric in summary.given_up else float("inf")
        return (False, -summary.saved) if mean <= at_most else (True, mean)

    return sorted(summaries, key=rank)


def _same(criterion: api.Criterion) -> Any:
    return criterion.model_copy(update={"name": None, "shadow": False})


def _on_the_loss(monitor: str, reported: Set[str]) -> Sequence[Mapping[str, Any]]:
    """Plain patience on the validation loss beside an accuracy."""
    loss = next((name for name in losses_beside(monitor) if name in reported), None)
    if is_loss(monitor) or loss is None:
        return ()
    return [{"plateau": {"monitor": loss, "mode": "min", "patience": patience}} for patience in (5, 10, 20)]
