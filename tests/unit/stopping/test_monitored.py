"""The rules that families judging a metric share, tested on these."""

import pytest
import yaml

from trainjobs.api.stopping import Monitored, Single
from trainjobs.stopping import MissingMetric

NAN, INF = float("nan"), float("inf")

FAMILIES = {
    field.alias: field.annotation.__args__[0] for field in map(Single.model_fields.get, Single.alternatives())
}
QUIET = {
    "threshold": {"value": -100.0},
    "overfitting": {"against": "m"},
    "productivityQuotient": {"against": "m"},
    "correlation": {"against": "m"},
    "weighted": {"others": [{"metric": "m"}]},
    "decayedPlateau": {"learningRate": "m"},
    "evidence": {"monitor": "m", "patience": 5},
    "gradientDisparity": {"monitor": "m"},
}
EXAMPLES = {
    key: yaml.safe_load(kind.example) | QUIET.get(key, {})
    for key, kind in FAMILIES.items()
    if issubclass(kind, Monitored)
}
"""Each family's own example. None of them stops a run of small finite values within three reports."""

every_family = pytest.mark.parametrize(("family", "parameters"), EXAMPLES.items(), ids=list(EXAMPLES))


@every_family
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nan_stops_by_default(first_stop, verdict, family, parameters, value):
    assert first_stop({family: parameters}, [1, 0.5, value]) == 3
    said = verdict({family: parameters}, [1, 0.5, value])
    assert (said.reason, said.closeness) == (f"m is {value} at epoch 3", 1.0)


@every_family
def test_a_nan_is_no_stop_any_more_once_a_finite_value_is_seen(panel, stops, history, family, parameters):
    assert stops(panel({family: parameters}), history([1, NAN, 0.5])) == [2]


@every_family
def test_an_ignored_nan_leaves_the_verdict_as_it_was(verdict, family, parameters):
    criterion = {family: {**parameters, "nonFinite": "Ignore"}}
    assert verdict(criterion, [1, 0.5, NAN, INF]) == verdict(criterion, [1, 0.5])


@every_family
def test_the_criterions_own_rule_for_nan_goes_before_the_general_one(first_stop, family, parameters):
    own = {family: {**parameters, "nonFinite": "Ignore"}}
    assert first_stop(own, [1, NAN, NAN, NAN], nonFinite="Stop") is None
    assert first_stop({family: parameters}, [1, NAN], nonFinite="Ignore") is None


@every_family
def test_a_nan_does_not_enter_the_smoothing(verdict, family, parameters):
    criterion = {family: {**parameters, "nonFinite": "Count", "smoothing": {"mean": {"window": 3}}}}
    assert verdict(criterion, [1, 0.5, NAN, 0.3]).value == pytest.approx(0.6)


@every_family
def test_a_missing_metric_is_an_error_that_names_the_criterion(panel, history, family, parameters):
    judged = panel({"budget": {"epochs": 9}}, {family: {**parameters, "monitor": "val_los"}})
    with pytest.raises(MissingMetric) as caught:
        judged.fold(history(val_loss=[1.0], m=[1.0]))
    assert caught.value.path == f"spec.stopping.criteria[1].{family}"
    assert caught.value.nearest == "val_loss"


@every_family
def test_a_report_without_the_metric_may_be_passed_over(verdict, family, parameters):
    criterion = {family: {**parameters, "whenMissing": "Ignore"}}
    assert verdict(criterion, [1, None, 0.5, None]).value == 0.5
    assert verdict(criterion, [None, None]).reason == "m has not been seen yet"


@every_family
def test_what_a_criterion_leaves_unset_comes_from_above(verdict, family, parameters):
    said = verdict({family: parameters}, [1, 0.5], smoothing={"mean": {"window": 2}})
    assert (said.metric, said.value) == ("m", 0.75)
    off = {family: {**parameters, "smoothing": {"mean": {"window": 1}}}}
    assert verdict(off, [1, 0.5], smoothing={"mean": {"window": 2}}).value == 0.5
