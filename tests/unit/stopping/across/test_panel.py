import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainjobs.api.pruning import Objective, Pruning, PruningCriterion
from trainjobs.stopping import Observation
from trainjobs.stopping.across import Curve, PruningPanel, judge

FAMILIES = {
    "median": {},
    "percentile": {"keep": 30.0},
    "successiveHalving": {"reductionFactor": 2},
    "hyperband": {"reductionFactor": 2, "maxEpochs": 4},
    "wilcoxon": {},
}
ALL = {"startAfter": {"epoch": 0}, "minTrials": 1, "criteria": [{name: FAMILIES[name]} for name in FAMILIES]}


def test_every_family_is_judged_here():
    fields = PruningCriterion.model_fields
    assert {fields[name].alias for name in PruningCriterion.model_construct().alternatives()} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_startafter_and_mintrials_hold_a_criterion_back(rule, family):
    bad, good = [9.0] * 8, [1 + i / 10 for i in range(8)]
    criterion = {family: FAMILIES[family]}
    curves = [bad, *[good] * 8]
    assert rule(criterion, curves).prune
    assert not rule(criterion, curves, startAfter={"epoch": 8}).findings
    held = rule(criterion, curves, minTrials=9)
    assert held.prune is None
    assert "9 other trials that a comparison needs came to epoch" in held.findings[0].verdict.reason


def test_a_shadow_is_told_and_never_prunes(rule):
    ruling = rule({"median": {}, "shadow": True}, [[9], [1]])
    assert (ruling.prune, ruling.findings[0].verdict.stop) == (None, True)


def histories(draw_values):
    return st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4), st.lists(draw_values, min_size=1, max_size=8), max_size=8
    )


VALUES = st.one_of(st.sampled_from([0.0, 1.0, 2.0, float("nan"), float("inf")]), st.floats(-5, 5))


def observed(values):
    return tuple(Observation(i, i, 0.0, {"loss": value}) for i, value in enumerate(values, 1))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=8),
    histories(VALUES),
    st.randoms(),
    st.sampled_from(["min", "max"]),
    st.sampled_from(["best", "last"]),
)
@example([0.0], {"a": [-0.0], "b": [0.0]}, random.Random(0), "min", "best")
@example([0.0], {"a": [-0.0], "b": [0.0]}, random.Random(1), "max", "last")
def test_the_ruling_does_not_depend_on_the_order_of_the_trials(mine, others, shuffler, mode, at):
    objective, pruning = Objective(metric="loss", mode=mode, at=at), Pruning.model_validate(ALL)
    trials = [("mine", observed(mine)), *((f"o{name}", observed(curve)) for name, curve in others.items())]
    first = judge("mine", dict(trials), objective, pruning)
    shuffler.shuffle(trials)
    assert repr(judge("mine", dict(trials), objective, pruning)) == repr(first)


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=8), histories(VALUES), st.lists(VALUES, max_size=4))
def test_what_others_do_after_this_epoch_changes_nothing_of_rules_at_an_epoch(mine, others, later):
    rules = [{name: FAMILIES[name]} for name in ("median", "percentile", "successiveHalving", "hyperband")]
    objective, pruning = Objective(metric="loss"), Pruning.model_validate({**ALL, "criteria": rules})
    ahead = {name: [*curve, *later] if len(curve) >= len(mine) else curve for name, curve in others.items()}
    rulings = [
        judge(
            "mine",
            {"mine": observed(mine), **{f"o{n}": observed(c) for n, c in found.items()}},
            objective,
            pruning,
        )
        for found in (others, ahead)
    ]
    assert repr(rulings[0]) == repr(rulings[1])


@pytest.fixture(scope="module")
def thousand():
    """Trials of a hundred reports each."""
    objective = Objective(metric="loss")
    return {
        f"{n:04}": Curve.of(observed([n + 100 / e for e in range(1, 101)]), objective) for n in range(1000)
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decision_among_a_thousand_trials_of_a_hundred_reports_is_quick(thousand, family):
    pruning = Pruning.model_validate({"criteria": [{family: FAMILIES[family]}]})
    panel = PruningPanel.of(pruning, Objective(metric="loss"))
    fastest = min(_seconds(lambda: panel.judge("0500", thousand)) for _ in range(5))
    assert fastest < 0.005  # less than a millisecond on a quiet core


def _seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
