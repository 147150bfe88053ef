"""Runs as tables see them: the n-th value is the report of epoch n, ten steps and two seconds an epoch.

A run is of 100 epochs unless a table says `maxEpochs`.
"""

import pytest

from trainjobs.api import Length
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Observation, Panel


def _observation(epoch, metrics):
    return Observation(epoch, 10 * epoch, 2.0 * epoch, metrics)


def _history(values=(), **curves):
    """One metric `m` from a list, or several by name; None in a list is a report without that metric."""
    curves = curves or {"m": values}
    length = max(map(len, curves.values()))
    return tuple(
        _observation(i + 1, {name: curve[i] for name, curve in curves.items() if curve[i] is not None})
        for i in range(length)
    )


def _panel(*criteria, **stopping):
    length = Length.of(stopping.pop("maxEpochs", 100), None)
    return Panel.of(Stopping.model_validate({"monitor": "m", **stopping, "criteria": criteria}), length)


def _rulings(panel, history):
    state, rulings = panel.fold(()), []
    for seen in history:
        state = panel.fold((seen,), state)
        rulings.append(panel.judge(state))
    return rulings


def _stops(panel, history):
    """Every epoch at which the panel says stop, were the run to go on regardless."""
    pairs = zip(history, _rulings(panel, history), strict=True)
    return [seen.epoch for seen, ruling in pairs if ruling.stop]


@pytest.fixture
def history():
    return _history


@pytest.fixture
def panel():
    return _panel


@pytest.fixture
def rulings():
    return _rulings


@pytest.fixture
def stops():
    return _stops


@pytest.fixture
def first_stop():
    """The epoch at which one criterion stops a run that reports these values, else None."""

    def first(criterion, values=(), /, *, curves=None, **stopping):
        history = _history(**curves) if curves else _history(values)
        return next(iter(_stops(_panel(criterion, **stopping), history)), None)

    return first


@pytest.fixture
def verdict():
    """What one criterion says at the end of a run that reports these values."""

    def last(criterion, values=(), /, *, curves=None, **stopping):
        history = _history(**curves) if curves else _history(values)
        panel = _panel(criterion, **stopping)
        return panel.judge(panel.fold(history)).findings[0].verdict

    return last
