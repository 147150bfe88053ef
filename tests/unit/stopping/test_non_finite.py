import pytest

from trainjobs.stopping import MissingMetric

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        ({}, [1, 2, NAN], 3),
        ({}, [INF], 1),
        ({}, [1, -INF], 2),
        ({}, [1, 2, 3], None),
        ({"patience": 2}, [NAN, 1, NAN, INF], 4),
        ({"whenMissing": "Ignore", "patience": 2}, [NAN, None, NAN], 3),
        ({"whenMissing": "Ignore"}, [None, None], None),
    ],
)
def test_it_stops_after_successive_values_that_are_not_finite(first_stop, parameters, values, stop):
    assert first_stop({"nonFinite": parameters}, values) == stop


@pytest.mark.parametrize("policy", ["Stop", "Count", "Ignore"])
def test_the_policy_of_the_other_criteria_is_not_its_own(first_stop, policy):
    assert first_stop({"nonFinite": {}}, [1, NAN], nonFinite=policy) == 2


def test_it_reads_the_metric_as_reported(first_stop):
    assert first_stop({"nonFinite": {}}, [1, NAN], smoothing={"mean": {"window": 5}}) == 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, 2, NAN], "m is nan at epoch 3"),
        ([NAN, INF], "m is inf at epoch 2, not finite for 2 reports"),
        ([1], "m is 1 at epoch 1"),
    ],
)
def test_the_sentence_names_value_and_epoch(verdict, values, sentence):
    assert verdict({"nonFinite": {"patience": 2}}, values).reason == sentence


def test_a_missing_metric_is_an_error(first_stop):
    with pytest.raises(MissingMetric, match=r"spec\.stopping\.criteria\[0\]\.nonFinite: metric"):
        first_stop({"nonFinite": {}}, [None])
