import pytest

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        ({"value": 2.0}, [1, 2, 2.1], 3),
        ({"value": 2.0, "patience": 2}, [3, 1, 3, 3], 4),
        ({"value": 0.5, "mode": "max"}, [0.6, 0.5, 0.4], 3),
        ({"amount": 0.5}, [1, 0.8, 1.3, 1.31], 4),
        ({"amount": 0.0}, [1, 1, 1.0001], 3),
        ({"amount": 0.5, "mode": "max"}, [0.1, 0.8, 0.3, 0.29], 4),
        ({"factor": 0.5}, [1, 0.8, 1.2, 1.21], 4),
        ({"factor": 0.5}, [-2, -1, -0.9], 3),
        ({"factor": 0.5, "mode": "max"}, [-2, -3, -3.1], 3),
        ({"factor": 0.5}, [1, 2], 2),
        ({"factor": 0.5}, [5], None),
    ],
)
def test_divergence_is_worse_than_the_limit_for_successive_reports(first_stop, parameters, values, stop):
    assert first_stop({"divergence": parameters}, values) == stop


@pytest.mark.parametrize(
    ("policy", "values", "stop"),
    [
        ("Stop", [1, NAN], 2),
        ("Count", [1, NAN, 1, NAN, INF], 5),
        ("Count", [NAN, -INF], 2),
        ("Ignore", [1, NAN, NAN, 9, NAN, 9], 6),
    ],
)
def test_what_is_not_finite_is_beyond_every_limit(first_stop, policy, values, stop):
    assert first_stop({"divergence": {"amount": 1.0, "patience": 2, "nonFinite": policy}}, values) == stop


@pytest.mark.parametrize(
    ("parameters", "values", "sentence"),
    [
        ({"value": 2.0}, [1, 3], "m 3 is worse than 2"),
        ({"value": 2.0}, [1, 2], "m 2 is not worse than 2"),
        (
            {"amount": 0.5, "patience": 3},
            [0.4, 1, 1.2],
            "m 1.2 is worse than the best 0.4 (epoch 1) by more than 0.5 for 2 reports",
        ),
        ({"factor": 0.5}, [0.4, 1], "m 1 is worse than the best 0.4 (epoch 1) by more than 50%"),
        ({"factor": 0.5, "nonFinite": "Count"}, [NAN], "m nan is worse than any best by more than 50%"),
    ],
)
def test_the_sentence_has_the_numbers(verdict, parameters, values, sentence):
    assert verdict({"divergence": parameters}, values).reason == sentence


def test_the_verdict_names_the_best_and_the_wait(verdict):
    said = verdict({"divergence": {"amount": 0.5, "patience": 4}}, [0.5, 0.4, 1.0])
    assert (said.best, said.best_epoch, said.waiting, said.closeness) == (0.4, 2, "1/4", 0.25)
