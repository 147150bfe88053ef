"""The earliest moment at which a criterion could stop a run."""

from itertools import permutations, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specifications import criteria, defaults, eighths, families

from trainjobs.api import Length
from trainjobs.api.manifest import parse_stopping
from trainjobs.stopping import MissingMetric, Observation, Pace, Panel, replay

EPOCHS, ONE_EPOCH, STEPS = Length.of(100, None), Length.of(1, None), Length.of(None, 5000)
PLATEAU = {"plateau": {"patience": 5}}
THRESHOLD = {"threshold": {"value": 1}}
NAN = float("nan")


def earliest(stopping, length):
    (judge,) = Panel.of(stopping, length).judges
    pace = Pace(length)
    return judge.fold.earliest(pace.first, pace)


@pytest.mark.parametrize(
    ("criterion", "gate", "epochs", "one_epoch", "steps"),
    [
        (PLATEAU, None, 6, 0, 0),
        ({"plateau": {"patience": 5, "baseline": 0.1}}, None, 5, 0, 0),
        (THRESHOLD, None, 1, 0, 0),
        ({"overfitting": {"gap": 1, "patience": 3}}, None, 3, 0, 0),
        ({"divergence": {"value": 1}}, None, 1, 0, 0),
        ({"divergence": {"factor": 1}}, None, 2, 0, 0),
        ({"divergence": {"amount": 1, "patience": 3}}, None, 4, 0, 0),
        ({"nonFinite": {"patience": 2}}, None, 2, 0, 0),
        ({"budget": {"epochs": 9}}, None, 9, 9, 0),
        ({"budget": {"steps": 100}}, None, 1, 0, 100),
        ({"budget": {"epochs": 9, "seconds": 60}}, None, 1, 0, 0),
        ({"budget": {"epochs": 9, "steps": 60}}, None, 1, 0, 0),
        ({"budget": {"steps": 100}}, {"epoch": 3}, 4, 3, 100),
        ({"budget": {"steps": 100}}, {"step": 300}, 1, 0, 301),
        (PLATEAU, {"epoch": 3}, 9, 3, 0),
        (PLATEAU, {"step": 300}, 6, 0, 301),
        ({**PLATEAU, "startAfter": {"epoch": 0}}, {"epoch": 3}, 6, 0, 0),
        (PLATEAU, {"metric": "a", "below": 1}, 6, 0, 0),
        ({**PLATEAU, "shadow": True}, {"epoch": 3}, 9, 3, 0),
        ({"all": [PLATEAU, THRESHOLD]}, None, 6, 0, 0),
        ({"all": [PLATEAU, {"budget": {"steps": 100}}]}, None, 6, 0, 100),
        ({"all": [PLATEAU, THRESHOLD]}, {"epoch": 9}, 15, 9, 0),
        ({"atLeast": {"count": 1, "of": [PLATEAU, THRESHOLD]}}, None, 1, 0, 0),
        ({"atLeast": {"count": 2, "of": [PLATEAU, THRESHOLD]}}, None, 6, 0, 0),
        ({"not": PLATEAU}, None, 1, 0, 0),
        ({"not": PLATEAU}, {"epoch": 2}, 3, 2, 0),
        ({"not": {"not": PLATEAU}}, None, 6, 0, 0),
        ({"not": {**PLATEAU, "startAfter": {"epoch": 7}}}, None, 8, 7, 0),
        ({"not": {"all": [PLATEAU, {**PLATEAU, "startAfter": {"epoch": 7}}]}}, None, 1, 0, 0),
        ({"not": {"atLeast": {"count": 1, "of": [PLATEAU, {**PLATEAU, "startAfter": {"epoch": 7}}]}}}, None, 8, 7, 0),
        ({"all": [{"all": [{**PLATEAU, "startAfter": {"epoch": 4}}]}]}, None, 10, 4, 0),
    ],
)  # fmt: skip
def test_a_criterion_cannot_stop_a_run_earlier(criterion, gate, epochs, one_epoch, steps):
    stopping = parse_stopping({"monitor": "m", "startAfter": gate, "criteria": [criterion]})
    found = [earliest(stopping, length).moment for length in (EPOCHS, ONE_EPOCH, STEPS)]
    assert found == [epochs, one_epoch, steps]


@pytest.mark.parametrize(("minimum", "epochs", "steps"), [({"minEpochs": 9}, 9, 0), ({"minSteps": 9}, 6, 9)])
def test_a_stop_is_withheld_until_so_many_are_finished(minimum, epochs, steps):
    stopping = parse_stopping({"monitor": "m", **minimum, "criteria": [PLATEAU]})
    assert [earliest(stopping, length).moment for length in (EPOCHS, STEPS)] == [epochs, steps]


@pytest.mark.parametrize(
    ("criterion", "cause"),
    [
        (PLATEAU, ".plateau.patience"),
        (THRESHOLD, ".threshold"),
        ({"overfitting": {"gap": 1}}, ".overfitting"),
        ({"budget": {"epochs": 9}}, ".budget.epochs"),
        ({"budget": {"epochs": 9, "seconds": 60}}, ".budget"),
        ({**PLATEAU, "startAfter": {"epoch": 3}}, ".plateau.patience"),
        ({**PLATEAU, "startAfter": {"epoch": 30}}, ".startAfter.epoch"),
        ({"all": [THRESHOLD, {"nonFinite": {"patience": 9}}, PLATEAU]}, ".all[1].nonFinite.patience"),
        ({"atLeast": {"count": 1, "of": [{"not": THRESHOLD}]}}, ".atLeast.of[0].not.threshold"),
    ],
)  # fmt: skip
def test_the_cause_is_what_it_waits_for_longest(criterion, cause):
    stopping = parse_stopping({"monitor": "m", "criteria": [criterion]})
    assert earliest(stopping, EPOCHS).cause == f"spec.stopping.criteria[0]{cause}"


quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def one_report_an_epoch(curves):
    return [
        Observation(epoch, 3 * epoch, float(epoch), dict(zip("ab", values, strict=True)))
        for epoch, values in enumerate(curves, start=1)
    ]


def by_steps(curves):
    return [
        Observation(1, step, float(step), dict(zip("ab", values, strict=True)), whole=False)
        for step, values in enumerate(curves, start=1)
    ]


def first_stop(stopping, history):
    """The report at which the only criterion stops; None if it does not, or cannot read what is reported."""
    try:
        (alone,) = replay(Panel.of(stopping, EPOCHS), history).criteria
    except MissingMetric:
        return None
    return alone.stop


@quick
@given(criteria, defaults, st.lists(st.tuples(eighths, eighths), max_size=12))
def test_no_finite_history_stops_it_earlier(criterion, above, curves):
    stopping = parse_stopping({"monitor": "a", **above, "criteria": [criterion]})
    if stop := first_stop(stopping, one_report_an_epoch(curves)):
        assert earliest(stopping, EPOCHS).moment <= stop.epoch
    if stop := first_stop(stopping, by_steps(curves)):
        assert earliest(stopping, STEPS).moment <= stop.step


LOW, MIDDLE, HIGH, RUIN = -1e6, 0.0, 1e6, NAN
REPORTS = 30
BEST_EFFORTS = [
    *([pair] * REPORTS for pair in product((LOW, MIDDLE, HIGH, RUIN), repeat=2)),
    *([one, *[two] * REPORTS] for one, two in product(product((LOW, MIDDLE, HIGH), repeat=2), repeat=2)),
    *([(a * i, b * i) for i in range(REPORTS)] for a, b in product((LOW, MIDDLE, HIGH), repeat=2)),
    *([one, two, *[one] * REPORTS] for one, two in permutations(product((LOW, HIGH), repeat=2), 2)),
    [(HIGH * 0.51**i, MIDDLE) for i in range(REPORTS)],
    [(MIDDLE, HIGH * 0.51**i) for i in range(REPORTS)],
]  # fmt: skip
"""Curves of `a` and `b`: all alike, the first or the second report apart, straight lines, or a decay."""


def alone(family):
    """The family as one that no other rule stops, and that does not compare a metric with itself."""
    ((key, parameters),) = family.items()
    told = {name: value for name, value in parameters.items() if name != "nonFinite"}
    for other in {"against", "learningRate", "loss"} & set(told):
        told["monitor"] = "a" if told[other] == "b" else "b"
    return parse_stopping({"monitor": "a", "nonFinite": "Ignore", "criteria": [{key: told}]})


def is_of_metrics(family):
    """Whether `a` and `b` alone can make it stop then; without a name `auto` looks for a loss by the usual ones.

    When `extrapolation` has seen enough depends on the whole curve: it only says when it certainly has not.
    """
    named = "loss" in family.get("auto", {"loss": ""})
    return (
        named
        and not {"custom", "extrapolation"} & set(family)
        and not {"steps", "seconds"} & set(family.get("budget", {}))
    )


@quick
@given(families.filter(is_of_metrics))
def test_a_family_does_stop_then_if_its_metrics_do_all_they_can(family):
    moment = earliest(alone(family), EPOCHS).moment
    stops = (first_stop(alone(family), one_report_an_epoch(curves[:moment])) for curves in BEST_EFFORTS)
    assert any(stop and stop.epoch == moment for stop in stops)
