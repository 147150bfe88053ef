from dataclasses import replace

import pytest

from trainjobs.api.stopping import Budget as Limit
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Best, Limits, MissingMetric, Panel, Scope
from trainjobs.stopping.budget import Budget

NAN, INF = float("nan"), float("inf")
GOAL = {"threshold": {"value": 0.5}}
PLATEAU = {"plateau": {"patience": 2}}


@pytest.mark.parametrize(
    ("criteria", "values", "named"),
    [
        ([PLATEAU, GOAL], [0.5], "threshold"),
        ([PLATEAU, GOAL], [0.5, 0.5, 0.5], "plateau"),
        ([GOAL, PLATEAU], [0.5, 0.5, 0.5], "threshold"),
        ([{**GOAL, "shadow": True}, PLATEAU], [0.5, 0.5, 0.5], "plateau"),
        ([{**GOAL, "name": "good"}, PLATEAU], [0.5], "good"),
        ([GOAL, {"threshold": {"value": 0.7}}], [0.6], "threshold-2"),
        ([PLATEAU, GOAL], [0.9], None),
        ([], [0.9], None),
    ],
)
def test_the_first_criterion_that_fires_is_named(panel, history, criteria, values, named):
    judged = panel(*criteria)
    stop = judged.judge(judged.fold(history(values))).stop
    assert (stop and stop.name) == named


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", [0.5, 0.3, 0.3, 0.4], (0.3, 2)),
        ("max", [0.5, 0.3, 0.5, 0.4], (0.5, 1)),
        ("min", [NAN, -INF, 0.5, INF], (0.5, 3)),
        ("min", [None, 0.5, None], (0.5, 2)),
        ("min", [0.5, 0.4999], (0.4999, 2)),
        ("min", [NAN, None], None),
    ],
)
def test_best_is_the_first_of_the_strictly_best_finite_values(panel, history, mode, values, best):
    judged = panel(mode=mode, startAfter={"epoch": 9}, smoothing={"mean": {"window": 3}})
    found = judged.judge(judged.fold(history(values))).best
    assert found == (best and Best("m", best[0], best[1], 10 * best[1], best[1]))


def test_without_a_monitor_there_is_no_best(history):
    judged = Panel.of(Stopping())
    assert judged.judge(judged.fold(history([1.0]))).best is None


@pytest.mark.parametrize(
    ("criteria", "stopping", "waiting"),
    [
        ([{"plateau": {"patience": 5}}, {"budget": {"epochs": 100}}], {}, "plateau 2/5"),
        ([{"plateau": {"patience": 5}}, {"budget": {"epochs": 4}}], {}, "budget 3/4"),
        ([{"plateau": {"patience": 5}, "shadow": True}, {"budget": {"epochs": 100}}], {}, "budget 3/100"),
        ([{"plateau": {"patience": 5}, "startAfter": {"epoch": 9}}], {}, ""),
        ([{"plateau": {"patience": 5}}], {"minEpochs": 9}, ""),
        ([{"plateau": {"monitor": "x", "patience": 5, "whenMissing": "Ignore"}}], {}, ""),
        ([], {}, ""),
    ],
)
def test_waiting_names_the_criterion_closest_to_stopping(panel, history, criteria, stopping, waiting):
    judged = panel(*criteria, **stopping)
    assert judged.judge(judged.fold(history([0.4, 0.4, 0.4]))).waiting == waiting


def test_a_criterion_that_does_not_say_how_far_it_is_waits_by_name(panel, history):
    class Silent(Budget):
        def judge(self, state):
            return replace(super().judge(state), waiting="")

    judged = panel({"budget": {"epochs": 9}})
    judge = replace(judged.judges[0], fold=Silent(Limit(epochs=9), Scope("here")))
    judged = replace(judged, judges=(judge,))
    assert judged.judge(judged.fold(history([0.4]))).waiting == "budget"


def test_findings_come_in_the_manifests_order(panel):
    judged = panel({"all": [GOAL]}, {"nonFinite": {}, "shadow": True}, {**PLATEAU, "name": "slow"})
    findings = judged.judge(judged.fold(())).findings
    assert [(each.name, each.family, each.shadow) for each in findings] == [
        ("all", "all", False),
        ("nonFinite", "nonFinite", True),
        ("slow", "plateau", False),
    ]


@pytest.mark.parametrize(
    ("criteria", "stopping", "limits"),
    [
        ([{"budget": {"steps": 9, "epochs": 2}}], {}, Limits(9, None, "budget")),
        (
            [{"budget": {"steps": 9}}, {"budget": {"steps": 5, "seconds": 60}, "name": "short"}],
            {},
            Limits(5, 60, "short", "short"),
        ),
        ([{"budget": {"steps": 9}, "shadow": True}], {}, Limits()),
        ([{"all": [{"budget": {"steps": 9}}]}], {}, Limits()),
        ([{"budget": {"steps": 9}, "startAfter": {"epoch": 2}}], {}, Limits()),
        ([{"budget": {"steps": 9}}], {"startAfter": {"epoch": 2}}, Limits()),
        (
            [{"budget": {"steps": 9}, "startAfter": {"epoch": 0}}],
            {"startAfter": {"epoch": 2}},
            Limits(9, None, "budget"),
        ),
        ([{"budget": {"steps": 9}}], {"minEpochs": 2}, Limits()),
        ([], {}, Limits()),
    ],
)
def test_limits_are_the_budgets_that_no_gate_holds_back(panel, criteria, stopping, limits):
    assert panel(*criteria, **stopping).limits == limits


def test_errors_name_places_below_the_panels_own(history):
    stopping = Stopping.model_validate({"monitor": "x", "criteria": [PLATEAU]})
    with pytest.raises(MissingMetric, match=r"^spec\.template\.stopping\.criteria\[0\]\.plateau: "):
        Panel.of(stopping, path="spec.template.stopping").fold(history([1.0]))


def test_a_changed_patience_takes_effect_on_the_whole_history(panel, history):
    curve = history([0.5, 0.4, 0.45, 0.45, 0.45])
    short, long = (panel({"plateau": {"patience": patience}}) for patience in (3, 4))
    assert short.judge(short.fold(curve)).stop is not None
    assert long.judge(long.fold(curve)).stop is None
