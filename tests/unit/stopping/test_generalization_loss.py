import pytest

NAN, INF = float("nan"), float("inf")


def generalization_loss(alpha, **parameters):
    return {"generalizationLoss": {"alpha": alpha, **parameters}}


@pytest.mark.parametrize(
    ("alpha", "parameters", "values", "stop"),
    [
        (5, {}, [1.0, 0.8, 0.84], None),
        (5, {}, [1.0, 0.8, 0.8401], 3),
        (2.3, {}, [1.0, 1.023, 1.0231], 3),
        (5, {}, [1.0, 2.0, 1.0], 2),
        (5, {"mode": "max"}, [0.5, 0.8, 0.76], None),
        (5, {"mode": "max"}, [0.5, 0.8, 0.7599], 3),
        (5, {}, [-1.0, -0.96], None),
        (5, {}, [-1.0, -0.94], 2),
        (5, {}, [0.0, 0.0], None),
        (5, {}, [0.0, 1e-300], 2),
        (5, {"nonFinite": "Count"}, [1.0, NAN], 2),
        (5, {"nonFinite": "Count"}, [INF], 1),
    ],
    ids=[
        *("exactly", "more", "decimals", "not latched", "max, exactly", "max", "negative", "negative, more"),
        *("zero", "worse than zero", "nan", "no best"),
    ],
)
def test_it_stops_when_worse_than_the_best_by_more_than_so_many_percent(
    first_stop, alpha, parameters, values, stop
):
    assert first_stop(generalization_loss(alpha, **parameters), values) == stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(generalization_loss(20), [0.5, 0.4, 0.42])
    assert said.reason == "m 0.42 is not worse than the best 0.4 (epoch 2) by more than 20%"
    assert (said.closeness, said.waiting) == (pytest.approx(0.25), "5%/20%")
    assert (said.best, said.best_epoch, said.value) == (0.4, 2, 0.42)
