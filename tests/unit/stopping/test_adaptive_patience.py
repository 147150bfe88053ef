import math

import pytest

from trainjobs.api.stopping import AdaptivePatience as Parameters
from trainjobs.api.stopping import Stopping
from trainjobs.exits import ConfigError
from trainjobs.stopping import Panel, Scope
from trainjobs.stopping.adaptive_patience import AdaptivePatience

NAN = float("nan")


def adaptive(**parameters):
    return {"adaptivePatience": parameters}


@pytest.mark.parametrize(
    ("parameters", "patience"),
    [
        ({"patience": 10, "tighten_after": 0.7}, {0: 10, 70: 10, 71: 2, 75: 2, 100: 2}),
        ({"patience": 30, "tighten_after": 0.7}, {70: 30, 71: 8, 80: 6, 90: 3, 99: 2}),
        ({"patience": 1, "tighten_after": 0.7}, {80: 1}),
        ({"patience": 30, "tighten_after": 0}, {0: 30, 1: 29, 50: 15}),
        ({"patience": 30, "decay": 2}, {0: 30, 100: 30}),
    ],
)
def test_patience_falls_with_progress_once_it_is_late(length_100, parameters, patience):
    fold = length_100(Parameters(**parameters))
    assert {done: fold.patience(done) for done in patience} == patience


@pytest.mark.parametrize("done", [0, 1, 70, 71, 100])
def test_the_margin_is_the_formulas(length_100, done):
    decaying = length_100(Parameters(patience=3, min_delta=0.1, decay=2))
    assert decaying.margin(done) == pytest.approx(0.1 * math.exp(-2 * done / 100))
    rising = length_100(Parameters(patience=3, min_delta=0.1, tighten_after=0.7))
    assert rising.margin(done) == pytest.approx(0.1 * (1 + done / 100) if done > 70 else 0.1)


@pytest.fixture
def length_100():
    from trainjobs.api import Length

    return lambda parameters: AdaptivePatience(parameters, Scope("here", "m", length=Length.of(100, None)))


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        ({"patience": 2, "minDelta": 0.1, "decay": 5}, [1.0, 0.95, 0.9, 0.85], None),
        ({"patience": 2, "minDelta": 0.5, "decay": 0.1}, [1.0, 0.95, 0.9, 0.85], 3),
        ({"patience": 6, "tightenAfter": 0.5}, [1.0] * 10, 6),
        ({"patience": 6, "tightenAfter": 0.9}, [1.0] * 10, 7),
        ({"patience": 2, "decay": 1, "nonFinite": "Count"}, [1.0, NAN, NAN], 3),
        ({"patience": 2, "decay": 1, "mode": "max"}, [0.1, 0.2, 0.2, 0.2], 4),
    ],
    ids=[
        "a margin that falls",
        "a margin that hardly does",
        "less patience",
        "as much as ever",
        "nan",
        "max",
    ],
)
def test_in_a_run_of_10_epochs_it_stops_here(first_stop, parameters, values, stop):
    assert first_stop(adaptive(**parameters), values, maxEpochs=10) == stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(adaptive(patience=30, minDelta=0.1, tightenAfter=0.2), [1.0] * 25, maxEpochs=100)
    assert said.reason == (
        "m 1 has not improved on 1 (epoch 1) by more than 0.125 for 24 reports; "
        "after 25% of the run patience is 22"
    )
    assert (said.stop, said.waiting) == (True, "24/22")


def test_without_the_runs_length_there_is_no_progress():
    stopping = Stopping.model_validate({"monitor": "m", "criteria": [adaptive(patience=2, decay=1)]})
    with pytest.raises(
        ConfigError, match=r"criteria\[0\].adaptivePatience: asks how much of the run is done"
    ):
        Panel.of(stopping)
