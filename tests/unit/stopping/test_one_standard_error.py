import pytest

NAN = float("nan")


def one_error(**parameters):
    return {"oneStandardError": {"patience": 2, **parameters}}


@pytest.mark.parametrize(
    ("parameters", "values", "stop"),
    [
        ({"samples": 100, "mode": "max"}, [0.5, 0.54, 0.55, 0.9], 3),
        ({"samples": 100, "mode": "max"}, [0.5, 0.54, 0.56, 0.6], None),
        ({"samples": 100}, [0.5, 0.46, 0.45], 3),
        ({"samples": 10_000}, [0.5, 0.46, 0.45, 0.44], None),
        ({"samples": 100}, [0.0, 0.0, 0.0], 3),
        ({"samples": 100}, [5.0, 4.9, 4.8], None),
        ({"samples": 100, "nonFinite": "Count"}, [0.5, NAN, NAN], 3),
    ],
    ids=["within", "adds up", "an error rate", "more samples", "no error", "no rate", "nan"],
)
def test_a_rates_error_is_of_its_samples(first_stop, parameters, values, stop):
    """At 0.5 it is 0.05 of 100 samples, and 0.005 of 10,000."""
    assert first_stop(one_error(**parameters), values) == stop


@pytest.mark.parametrize(
    ("values", "errors", "stop"),
    [
        ([1.0, 0.9, 0.8], [0.2, 0.2, 0.2], 3),
        ([1.0, 0.9, 0.79], [0.2, 0.2, 0.2], None),
        ([1.0, 0.9, 0.8], [0.0, 0.2, 0.0], 4),
        ([1.0, 0.9, 0.8], [-1.0, -1.0, -1.0], None),
    ],
    ids=["exactly", "more", "of the best, not of the latest", "negative is none"],
)
def test_a_reported_error_is_that_of_the_best_value(first_stop, values, errors, stop):
    curves = {"m": [*values, values[-1]], "se": [*errors, errors[-1]]}
    criterion = one_error(standardError="se", smoothing={"mean": {"window": 1}})
    assert first_stop(criterion, curves=curves) == stop


def test_what_it_waits_for_is_within_one_error_of_the_best_of_all(panel, history):
    """Which is what the rule of 1984 asks of the tree that it takes."""
    values = [0.9, 0.7, 0.66, 0.5, 0.47, 0.45, 0.48]
    judged = panel(one_error(samples=100))
    best = judged.judge(judged.fold(history(values))).findings[0].verdict
    assert (best.best, best.best_epoch) == (0.5, 4)
    assert best.best <= min(values) + 0.05


def test_the_sentence_has_the_numbers(verdict):
    assert verdict(one_error(samples=100), [0.5, 0.48]).reason == (
        "m 0.48 has not improved on 0.5 (epoch 1) by more than one standard error, 0.05, for 1 report"
    )
    assert verdict(one_error(samples=100), [0.5]).reason == "m 0.5 is an improvement at epoch 1"
