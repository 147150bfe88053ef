"""`plateau`, configured like a peer, stops at the same epoch: their own classes, on the recorded curves.

Values are the recorded ones, five significant digits, in double precision.
"""

import gzip
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Observation, Panel, replay

CURVES = Path(__file__).parents[2] / "data/curves/curves.jsonl.gz"
PATIENCES = (1, 3, 10, 20)
NO_GAIN = 0.001234567
"""A margin that no gain of such values is equal to."""
METRICS = {"val_loss": "min", "val_accuracy": "max"}


@pytest.fixture(scope="module")
def curves():
    """Metric and values of every recorded run."""
    lines = gzip.decompress(CURVES.read_bytes()).decode().splitlines()
    recorded = [json.loads(line)["curves"] for line in lines]
    return [(metric, curve[metric]) for curve in recorded for metric in METRICS]


def ours(values, mode, patience, min_delta, non_finite="Stop", **baseline):
    """The epoch at which `plateau` stops, else None."""
    plateau = {"patience": patience, "minDelta": min_delta, "nonFinite": non_finite, **baseline}
    stopping = {"monitor": "m", "mode": mode, "criteria": [{"plateau": plateau}]}
    history = (Observation(epoch, epoch, 0.0, {"m": value}) for epoch, value in enumerate(values, start=1))
    (alone,) = replay(Panel.of(Stopping.model_validate(stopping)), history).criteria
    return alone.stop.epoch if alone.stop else None


def first(stops: Iterator[bool]):
    return next((epoch for epoch, stop in enumerate(stops, start=1) if stop), None)


def lightning(values, mode, patience, min_delta):
    import torch
    from lightning.pytorch.callbacks import EarlyStopping
    from lightning.pytorch.trainer.states import TrainerFn

    theirs = EarlyStopping(
        "m", min_delta=min_delta, patience=patience, mode=mode, check_on_train_epoch_end=False
    )
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision),
        should_stop=False,
        sanity_checking=False,
        fast_dev_run=False,
        current_epoch=0,
    )

    def after(value):
        trainer.callback_metrics = {"m": torch.tensor(value, dtype=torch.float64)}
        theirs.on_validation_end(trainer, None)
        return trainer.should_stop

    return first(map(after, values))


def keras(values, mode, patience, min_delta, **baseline):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.callbacks import EarlyStopping

    theirs = EarlyStopping("m", min_delta=min_delta, patience=patience, mode=mode, **baseline)
    theirs.set_model(SimpleNamespace(stop_training=False))
    theirs.on_train_begin()

    def after(epoch, value):
        theirs.on_epoch_end(epoch, {"m": value})
        return theirs.model.stop_training

    return first(after(epoch, value) for epoch, value in enumerate(values))


def ignite(values, mode, patience, min_delta):
    from ignite.engine import Engine
    from ignite.handlers import EarlyStopping

    trainer = Engine(lambda engine, batch: None)
    theirs = EarlyStopping(
        patience, lambda engine: engine.state.m, trainer, threshold=min_delta, cumulative=True, mode=mode
    )

    def after(value):
        trainer.state.m = value
        theirs(trainer)
        return trainer.should_terminate

    return first(map(after, values))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("patience", PATIENCES)
@pytest.mark.parametrize("min_delta", [0.0, NO_GAIN])
@pytest.mark.parametrize(("peer", "non_finite"), [(lightning, "Stop"), (keras, "Count"), (ignite, "Count")])
def test_the_same_epoch(curves, peer, non_finite, min_delta, patience):
    stopped = 0
    for metric, values in curves:
        mode = METRICS[metric]
        known = values if peer is not ignite else [value for value in values if math.isfinite(value)]
        epoch = ours(known, mode, patience, min_delta, non_finite)
        assert epoch == peer(known, mode, patience, min_delta)
        stopped += epoch is not None
    assert stopped > len(curves) / 3


EXACT = [0.51451, 0.51328, 0.51328]
"""A gain of 0.00123, which is 0.0012300000000000644 in floating point."""
NAN_FIRST = [math.nan, 0.9, 0.8, 0.7]
NAN_LATER = [0.9, math.nan, 0.95, 0.96]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("peer", "non_finite", "values", "patience", "epochs"),
    [
        (lightning, "Stop", EXACT, 2, (3, None)),  # here a gain of exactly minDelta is none
        (ignite, "Count", EXACT, 2, (3, None)),
        (keras, "Count", NAN_FIRST, 2, (None, 3)),  # there nothing is better than a first NaN
        (keras, "Count", [math.nan, math.nan], 1, (1, 2)),  # and no run ends after one epoch
        (ignite, "Count", NAN_LATER, 3, (4, None)),  # there a NaN is an improvement, and so is what follows
    ],
)
def test_the_documented_differences(peer, non_finite, values, patience, epochs):
    found = ours(values, "min", patience, 0.00123, non_finite), peer(values, "min", patience, 0.00123)
    assert found == epochs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("values", "epochs"),
    [
        ([0.9, 0.95, 0.9, 0.9], (3, 3)),
        ([0.9, 0.8, 0.4, 0.5, 0.5, 0.5], (6, 6)),
        ([0.9, 0.8, 0.7, 0.6, 0.65], (3, 5)),  # there none stops that improves, though it misses the baseline
        ([0.9, 0.8, 0.7, 0.6], (3, None)),
    ],
)
def test_the_baseline(values, epochs):
    asked = (values, "min", 3, 0.0)
    assert (ours(*asked, "Count", baseline=0.5), keras(*asked, baseline=0.5)) == epochs
