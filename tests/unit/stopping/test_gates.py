import pytest

from trainjobs.stopping import MissingMetric

NAN, INF = float("nan"), float("inf")
PLATEAU = {"plateau": {"patience": 2}}
GOAL = {"threshold": {"value": 0.5}}
LOSS_BELOW_1 = {**GOAL, "startAfter": {"metric": "loss", "below": 1}}


@pytest.mark.parametrize(
    ("gate", "values", "stop"),
    [
        ({"epoch": 0}, [0.1], 1),
        ({"epoch": 1}, [0.1], None),
        ({"epoch": 1}, [0.1, 0.1], 2),
        ({"epoch": 3}, [0.1, 0.1, 0.1, 1, 0.1], 5),
    ],
)
def test_monitoring_begins_after_epoch_n(first_stop, gate, values, stop):
    assert first_stop({**GOAL, "startAfter": gate}, values) == stop


def test_what_is_not_seen_is_neither_best_nor_waited_for(first_stop, verdict):
    late = {**PLATEAU, "startAfter": {"epoch": 3}}
    assert first_stop(late, [0.1, 0.2, 0.3, 0.9, 0.8, 0.7]) is None
    assert first_stop(late, [0.1, 0.2, 0.3, 0.9, 0.9, 0.9]) == 6
    assert verdict(late, [0.1, 0.2, 0.3, 0.9]).best == 0.9


@pytest.mark.parametrize(
    ("side", "loss", "epochs"),
    [
        ("below", [2, 0.9, 1.0, 0.5], [2, 4]),
        ("above", [2, 0.9, 1.0, 1.1], [1, 4]),
        ("below", [NAN, INF, -INF, 0.5], [4]),
        ("above", [NAN, INF, -INF, 2], [4]),
    ],
)
def test_a_metric_gate_is_open_only_while_it_holds(panel, rulings, history, side, loss, epochs):
    criterion = {**GOAL, "startAfter": {"metric": "loss", side: 1.0}}
    given = rulings(panel(criterion), history(m=[0.1] * 4, loss=loss))
    assert [i + 1 for i, ruling in enumerate(given) if ruling.stop] == epochs


def test_a_count_is_kept_while_the_gate_is_closed(panel, stops, history):
    criterion = {**PLATEAU, "startAfter": {"metric": "loss", "below": 1.0}}
    curves = history(m=[1, 1, 0.1, 1, 1, 1], loss=[0, 0, 2, 2, 0, 2])
    assert stops(panel(criterion), curves) == [5]


@pytest.mark.parametrize("value", [NAN, INF, None])
def test_behind_a_closed_gate_neither_nan_nor_a_missing_metric_is_seen(first_stop, value):
    assert first_stop({**PLATEAU, "startAfter": {"epoch": 2}}, [1, value, 0.9, 0.8]) is None


def test_an_own_non_finite_criterion_covers_the_warm_up(panel, stops, history):
    judged = panel(PLATEAU, {"nonFinite": {}, "startAfter": {"epoch": 0}}, startAfter={"epoch": 3})
    assert stops(judged, history([1, NAN, 1, 0.5, 0.4])) == [2]


def test_the_gate_of_a_criterion_goes_before_the_general_one(panel, stops, history):
    curve = history([0.1] * 6)
    assert stops(panel(GOAL, startAfter={"epoch": 3}), curve) == [4, 5, 6]
    assert stops(panel({**GOAL, "startAfter": {"epoch": 5}}, startAfter={"epoch": 3}), curve) == [6]
    assert stops(panel({**GOAL, "startAfter": {"epoch": 0}}, startAfter={"epoch": 3}), curve) == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_the_gate_of_a_composition_holds_for_its_members(panel, stops, history):
    member = {**GOAL, "startAfter": {"epoch": 0}}
    assert stops(panel({"all": [member], "startAfter": {"epoch": 2}}), history([0.1] * 4)) == [3, 4]


@pytest.mark.parametrize(
    ("stopping", "criterion", "path"),
    [
        ({}, LOSS_BELOW_1, "spec.stopping.criteria[0].startAfter"),
        ({"startAfter": {"metric": "loss", "below": 1}}, GOAL, "spec.stopping.startAfter"),
        ({}, {"all": [LOSS_BELOW_1]}, "spec.stopping.criteria[0].all[0].startAfter"),
    ],
)
def test_a_gates_missing_metric_is_an_error_that_names_the_gate(panel, history, stopping, criterion, path):
    with pytest.raises(MissingMetric) as caught:
        panel(criterion, **stopping).fold(history([1.0]))
    assert caught.value.path == path


def test_a_gate_whose_metric_may_be_missing_is_closed_without_it(panel, stops, history):
    criterion = {**GOAL, "startAfter": {"metric": "loss", "below": 1, "whenMissing": "Ignore"}}
    assert stops(panel(criterion), history(m=[0.1] * 3, loss=[None, 0, None])) == [2]


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        ({"epoch": 2}, "startAfter epoch 2"),
        ({"metric": "m", "below": 0.5}, "startAfter m below 0.5 (it is 1)"),
        ({"metric": "n", "above": 3, "whenMissing": "Ignore"}, "startAfter n above 3 (it is missing)"),
    ],
)
def test_the_verdict_behind_a_closed_gate_names_the_gate(verdict, gate, reason):
    said = verdict({**GOAL, "startAfter": gate}, [1.0])
    assert (said.gated, said.reason) == (reason, f"held back at epoch 1 by {reason}")
    assert (said.stop, said.undecided, said.closeness) == (False, True, 0.0)


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ([0.1, 0.9, 0.9, 0.9, 0.9], 5),
        ([0.5, 0.9, 0.9, 0.9, 0.1, 0.9], None),
        ([0.5, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9], 7),
        ([0.5, NAN, 0.4, 0.3, 0.2], None),
        ([0.5, 0.4, 0.3, 0.2, NAN], 5),
    ],
    ids=["spent", "recovered", "recovered, then spent", "nan before", "nan then"],
)
def test_patience_spent_before_min_epochs_is_judged_anew_then(first_stop, values, stop):
    assert first_stop(PLATEAU, values, minEpochs=5) == stop


def test_min_epochs_holds_for_budgets_too(first_stop):
    assert first_stop({"budget": {"epochs": 2}}, [1.0] * 6, minEpochs=4) == 4


def test_min_epochs_shows_what_it_withholds(panel, rulings, history):
    *_, ruling = rulings(panel(PLATEAU, minEpochs=5), history([0.1, 0.9, 0.9]))
    said = ruling.findings[0]
    assert (said.gated, said.verdict.stop, said.verdict.waiting) == ("minEpochs 5", False, "2/2")
    assert said.verdict.reason == (
        "m 0.9 has not improved on 0.1 (epoch 1) for 2 reports (held back at epoch 3 by minEpochs 5)"
    )


def test_a_missing_metric_is_an_error_before_min_epochs(first_stop):
    with pytest.raises(MissingMetric):
        first_stop(PLATEAU, [None], minEpochs=5)


def test_a_shadow_criterion_says_stop_and_does_not(panel, rulings, history):
    *_, ruling = rulings(panel({**GOAL, "shadow": True}), history([0.1]))
    assert (ruling.stop, ruling.findings[0].verdict.stop, ruling.waiting) == (None, True, "")


def test_a_shadow_criterion_that_cannot_read_its_metric_says_so_and_goes_on(panel, rulings, history):
    given = rulings(panel({**GOAL, "shadow": True}), history([1, None, 0.1]))
    said = [ruling.findings[0].verdict for ruling in given]
    assert [each.stop for each in said] == [False, False, True]
    assert said[1].reason.startswith('spec.stopping.criteria[0].threshold: metric "m" was not reported')
    assert said[1].undecided


def test_a_shadow_criterion_whose_gate_cannot_be_read_does_not_fail_the_run(panel, rulings, history):
    gated = {**GOAL, "shadow": True, "startAfter": {"metric": "loss", "below": 1}}
    *_, ruling = rulings(panel(gated), history([0.1]))
    assert 'metric "loss" was not reported' in ruling.findings[0].verdict.reason
