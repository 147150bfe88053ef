"""The reports of a run as curves: which metrics share a chart, and where on its axis a report lies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainjobs.api.length import Unit
from trainjobs.stopping import Observation

_DATA = ("train", "training", "val", "valid", "validation", "eval", "test")
"""Names of data before a metric's own, as in val_loss and train/loss."""
_NONE_LAST = len(_DATA)


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that are one measure on different data, such as train_loss and val_loss: they share a chart."""

    measure: str
    names: Mapping[str, str]
    """What each metric is called beside its curve, e.g. {"val_loss": "val"}; training data first."""


def families(metrics: Sequence[str], monitor: str | None) -> list[Family]:
    """The metrics by measure, in their order, but the monitor's first."""
    found: dict[str, list[str]] = {}
    for metric in metrics:
        found.setdefault(_split(metric)[1], []).append(metric)
    first = _split(monitor)[1] if monitor else None
    return [_family(measure, found[measure]) for measure in sorted(found, key=lambda name: name != first)]


def _family(measure: str, metrics: Sequence[str]) -> Family:
    if len(metrics) == 1:
        return Family(metrics[0], {metrics[0]: metrics[0]})
    ordered = sorted(metrics, key=lambda metric: _rank(_split(metric)[0]))
    return Family(measure, {metric: _split(metric)[0] or measure for metric in ordered})


def _split(metric: str) -> tuple[str, str]:
    """The data and the measure: ("val", "loss"); ("", "loss") for a name without data."""
    for mark in "_/":
        data, found, measure = metric.partition(mark)
        if found and measure and data in _DATA:
            return data, measure
    return "", metric


def _rank(data: str) -> int:
    return _DATA.index(data) if data in _DATA else _NONE_LAST


def metrics_of(history: Sequence[Observation]) -> list[str]:
    """Every metric that was ever reported, in the order of the first report."""
    return list(dict.fromkeys(metric for seen in history for metric in seen.metrics))


def places(history: Sequence[Observation], unit: Unit) -> list[float]:
    """Where each report lies on an axis of steps, or of epochs: those that were finished by then.

    A report amid an epoch lies as far in it as its step is, at the pace of the epochs before.
    """
    if unit is Unit.STEP:
        return [float(seen.step) for seen in history]
    whole = next((seen for seen in reversed(history) if seen.whole and seen.epochs), None)
    pace = whole.step / whole.epochs if whole else history[-1].step if history else 0
    return [float(seen.epochs) if seen.whole else _amid(seen, pace) for seen in history]


def _amid(seen: Observation, pace: float) -> float:
    return round(min(max(seen.step / (pace or 1), seen.epochs + 0.01), seen.epoch - 0.01), 3)


def values(history: Sequence[Observation], metric: str) -> list[float]:
    """A value for each report; NaN where it has none."""
    return [float(seen.metrics.get(metric, math.nan)) for seen in history]
