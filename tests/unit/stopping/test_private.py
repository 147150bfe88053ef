import math
import statistics

import pytest

from trainjobs.api.stopping import Private as Parameters
from trainjobs.stopping import Observation, Scope
from trainjobs.stopping.private import Private, laplace

SURE = {"sensitivity": 1e-9, "epsilon": 1.0, "seed": 7}
"""Noise that changes nothing here."""
NAN = float("nan")
FLAT = [1.0, 0.5, 0.5, 0.5, 0.5]
BOTH = pytest.mark.parametrize("mechanism", ["Laplace", "AboveThreshold"])


def private(**parameters):
    return {"private": {"patience": 2, **SURE, **parameters}}


@BOTH
@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        ({"minDelta": 0.1}, FLAT, 4),
        ({"minDelta": 0.1}, [1.0, 0.8, 0.6, 0.4], None),
        ({"minDelta": 0.1, "mode": "max"}, [0.1, 0.5, 0.5, 0.5], 4),
        ({"minDelta": 0.1}, [1.0, NAN, NAN], 3),
        ({"minDelta": 0.1, "patience": 1}, [1.0, 2.0], 2),
        ({"minDelta": 0.1}, [1.0, 1.0], None),
    ],
)
def test_with_little_noise_it_is_a_plateau(first_stop, mechanism, parameters, values, stop):
    assert first_stop(private(mechanism=mechanism, **parameters), values) == stop


def test_noise_has_laplaces_distribution():
    draws = [laplace(f"{i}", 2.0) for i in range(20_000)]
    assert statistics.mean(draws) == pytest.approx(0, abs=0.08)
    assert statistics.median(draws) == pytest.approx(0, abs=0.06)
    assert statistics.mean(map(abs, draws)) == pytest.approx(2, abs=0.06)
    assert sum(abs(draw) > 2 * math.log(10) for draw in draws) / len(draws) == pytest.approx(0.1, abs=0.01)


@BOTH
def test_the_same_history_is_judged_the_same_again_and_another_seed_otherwise(verdict, mechanism):
    said = [verdict(private(mechanism=mechanism, sensitivity=1.0, seed=seed), FLAT) for seed in (1, 1)]
    assert said[0] == said[1]
    stops = {
        verdict(private(mechanism=mechanism, sensitivity=1.0, seed=seed), FLAT).stop for seed in range(20)
    }
    assert stops == {True, False}


def test_above_threshold_tells_no_value_and_its_stop_stands(verdict, panel, stops, history):
    said = verdict(private(minDelta=0.1), FLAT)
    assert (said.value, said.best, said.waiting, said.closeness) == (None, None, "", 1.0)
    assert said.reason == "m has stopped improving; privacy spent: 1 for all answers"
    assert stops(panel(private(minDelta=0.1)), history([*FLAT, 0.1, 0.0])) == [4, 5, 6, 7]


def test_laplace_says_what_every_report_has_cost(verdict):
    said = verdict(private(mechanism="Laplace", minDelta=0.1, epsilon=0.5), FLAT)
    assert said.reason == (
        "m 0.5 (with noise of scale 2e-09) has not improved on 0.5 (epoch 2) by more than 0.1 for 3 reports; "
        "privacy spent: 2.5 in 5 reports"
    )


# --- the privacy loss, as it is ---------------------------------------------------------------------------------------

SEEDS = 2000
WITHOUT = (1.0, 0.5, 0.2, 0.2, 0.2, 0.2)
WITH = tuple(value + 0.1 * (-1) ** i for i, value in enumerate(WITHOUT))
"""The same run with one person more, who moves each value by the sensitivity, 0.1, in either direction."""


def outcomes(mechanism, epsilon, values):
    """At which report each seed stops."""
    counts = dict.fromkeys([*range(len(values)), None], 0)
    for seed in range(SEEDS):
        parameters = Parameters(patience=2, sensitivity=0.1, epsilon=epsilon, mechanism=mechanism, seed=seed)
        fold = Private(parameters, Scope("here", "m"))
        state, stop = fold.start(), None
        for i, value in enumerate(values):
            state = fold.update(state, Observation(i + 1, i + 1, 0.0, {"m": value}))
            stop = i if stop is None and fold.stops(state) else stop
        counts[stop] += 1
    return counts


def loss(one, other):
    """A privacy loss that is certain: the largest, over sets of outcomes, of the least that the counts allow."""
    sets = [{each} for each in one] + [
        {k for k in one if k is not None and k <= i} for i in one if i is not None
    ]
    shares = [(sum(one[k] for k in s) / SEEDS, sum(other[k] for k in s) / SEEDS) for s in sets]
    spread = [(p - 4 * math.sqrt(p / SEEDS), q + 4 * math.sqrt(q / SEEDS) + 1 / SEEDS) for p, q in shares]
    return max(math.log(low / high) for low, high in spread if low > 0)


@BOTH
def test_neighbouring_runs_stop_alike_within_the_privacy_that_is_promised(mechanism):
    epsilon = 0.5
    promised = epsilon if mechanism == "AboveThreshold" else epsilon * len(WITHOUT)
    one, other = (outcomes(mechanism, epsilon, values) for values in (WITHOUT, WITH))
    assert max(loss(one, other), loss(other, one)) <= promised


def test_the_test_of_the_promise_can_fail():
    one, other = (outcomes("AboveThreshold", 40.0, values) for values in (WITHOUT, WITH))
    assert max(loss(one, other), loss(other, one)) > 0.5
