import pytest

from trainjobs.stopping import MissingMetric

NAN = float("nan")


def overfitting(**parameters):
    return {"overfitting": {"monitor": "val", "against": "train", **parameters}}


@pytest.mark.parametrize(
    ("parameters", "val", "train", "stop"),
    [
        ({"gap": 0.3}, [0.9, 0.8, 0.9], [0.8, 0.5, 0.5], 3),
        ({"gap": 0.3}, [0.8], [0.5], None),
        ({"gap": 0.3, "patience": 2}, [1, 1, 0.6, 1, 1], [0.5] * 5, 2),
        ({"gap": 0.3, "patience": 2}, [1, 0.6, 1, 0.6, 1, 1], [0.5] * 6, 6),
        ({"gap": 0.1, "mode": "max"}, [0.8, 0.8, 0.8], [0.8, 0.9, 0.95], 3),
        ({"gap": 0.1, "mode": "max"}, [0.9, 0.9], [0.5, 0.6], None),
        ({"gap": 0.0}, [0.5, 0.5001], [0.5, 0.5], 2),
        ({"gap": 0.3}, [-0.5, 0.0], [-0.6, -0.4], 2),
    ],
)
def test_it_stops_after_successive_reports_with_a_larger_gap(first_stop, parameters, val, train, stop):
    assert first_stop(overfitting(**parameters), curves={"val": val, "train": train}) == stop


@pytest.mark.parametrize(
    ("policy", "val", "train", "stop"),
    [
        ("Stop", [0.5, 0.5], [0.5, NAN], 2),
        ("Stop", [0.5, NAN], [0.5, 0.5], 2),
        ("Count", [0.5, 0.5, NAN], [0.5, NAN, 0.5], 3),
        ("Ignore", [0.5, 0.5, NAN, 1, 1], [0.5, NAN, 0.5, 0.1, 0.1], 5),
    ],
)
def test_either_metric_may_be_not_finite(first_stop, policy, val, train, stop):
    curves = {"val": val, "train": train}
    assert first_stop(overfitting(gap=0.3, patience=2, nonFinite=policy), curves=curves) == stop


def test_the_sentence_of_a_nan_names_the_metric_that_is_nan(verdict):
    said = verdict(overfitting(gap=0.3), curves={"val": [0.5], "train": [NAN]})
    assert (said.reason, said.metric) == ("train is nan at epoch 1", "train")


def test_the_sentence_has_both_values(verdict):
    curves = {"val": [0.9, 0.9], "train": [0.4, 0.4]}
    said = verdict(overfitting(gap=0.3, patience=3), curves=curves)
    assert said.reason == "val 0.9 is worse than train 0.4 by more than 0.3 for 2 reports"
    assert (said.waiting, said.value) == ("2/3", 0.9)


def test_both_metrics_are_smoothed(verdict):
    curves = {"val": [1.0, 0.0], "train": [0.0, 1.0]}
    said = verdict(overfitting(gap=0.3), curves=curves, smoothing={"mean": {"window": 2}})
    assert said.reason == "val (mean of 2) 0.5 is not worse than train (mean of 2) 0.5 by more than 0.3"


@pytest.mark.parametrize("missing", ["val", "train"])
def test_either_missing_metric_is_an_error(first_stop, missing):
    curves = {"val": [0.5], "train": [0.5], missing: [None]}
    with pytest.raises(MissingMetric, match=f'metric "{missing}" was not reported'):
        first_stop(overfitting(gap=0.3), curves=curves)


def test_a_report_without_one_of_them_may_be_passed_over(first_stop):
    curves = {"val": [1, None, 1, 1], "train": [0.1, 0.1, None, 0.1]}
    assert first_stop(overfitting(gap=0.3, patience=2, whenMissing="Ignore"), curves=curves) == 4
