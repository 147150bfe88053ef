"""Learning rates of the usual schedules, made by torch's own schedulers in the test at the end."""

import pytest

NAN = float("nan")


def decayed(**parameters):
    return {"decayedPlateau": {"patience": 2, "learningRate": "lr", **parameters}}


@pytest.mark.parametrize(
    ("parameters", "values", "rates", "stop"),
    [
        ({}, [1.0] * 6, [0.1] * 6, None),
        ({"decayedTo": 1.0}, [1.0] * 6, [0.1] * 6, 3),
        ({}, [1.0] * 6, [0.0] * 6, None),
        ({}, [1.0] * 9, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01], 6),
        ({"cooldown": 0}, [1.0] * 9, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01], 5),
        ({"cooldown": 3}, [1.0] * 9, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01], 8),
        ({"decayedTo": 0.01}, [1.0] * 9, [0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001], 8),
        ({"decayedTo": 1.0}, [1.0] * 6, [0.01, 0.02, 0.03, 0.04, 0.04, 0.04], 6),
        ({"decayedTo": 1.0}, [1.0, 1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 0.2, 0.2, 0.2], 4),
        ({"decayedTo": 1.0}, [1.0, 1.0, 0.9, 0.9, 0.9], [0.1, 0.1, 0.01, 0.01, 0.01], 5),
        ({"decayedTo": 1.0}, [1.0] * 5, [0.1, 0.09, 0.08, 0.07, 0.06], 3),
        ({"decayedTo": 1.0, "nonFinite": "Count"}, [1.0, NAN, 1.0], [0.1, 0.1, NAN], 3),
    ],
    ids=[
        *(
            "never reduced",
            "at any rate",
            "no rate at all",
            "reduced once",
            "no cooldown",
            "long cooldown",
            "reduced twice",
            "warm-up",
        ),
        *("a restart freezes", "an improvement counts anew", "a smooth decay is no step", "nan"),
    ],
)
def test_it_counts_only_reports_at_a_settled_reduced_rate(first_stop, parameters, values, rates, stop):
    assert first_stop(decayed(**parameters), curves={"m": values, "lr": rates}) == stop


def test_the_rate_is_never_smoothed(first_stop):
    curves = {"m": [1.0] * 6, "lr": [0.1, 0.1, 0.01, 0.01, 0.01, 0.01]}
    assert first_stop(decayed(), curves=curves, smoothing={"mean": {"window": 5}}) == 5


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ([0.1, 0.1], "m 1 has not improved on 1 (epoch 1) for 0 reports at a settled learning rate; "
                     "not counted: lr 0.1 is more than 10% of its peak 0.1"),
        ([0.1, 0.2], "m 1 has not improved on 1 (epoch 1) for 0 reports at a settled learning rate; "
                     "not counted: lr 0.2 is rising"),
        ([0.1, 0.01], "m 1 has not improved on 1 (epoch 1) for 0 reports at a settled learning rate; "
                      "not counted: lr 0.01 has just been reduced"),
        ([0.1, 0.01, 0.01], "m 1 has not improved on 1 (epoch 1) for 1 report at a settled learning rate"),
    ],
)  # fmt: skip
def test_the_sentence_says_why_a_report_is_not_counted(verdict, rates, sentence):
    assert verdict(decayed(), curves={"m": [1.0] * len(rates), "lr": rates}).reason == sentence


@pytest.mark.parametrize(
    ("margin", "told"), [({}, "by more than 0.5"), ({"minDeltaMode": "Relative"}, "by more than 50%")]
)
def test_the_sentence_has_the_margin(verdict, margin, told):
    said = verdict(decayed(decayedTo=1.0, minDelta=0.5, **margin), curves={"m": [1.0, 0.9], "lr": [0.1, 0.1]})
    assert (
        said.reason == f"m 0.9 has not improved on 1 (epoch 1) {told} for 1 report at a settled learning rate"
    )


def rates_of(scheduler, reports, *metric):
    """What the learning rate is at each report, the scheduler's step coming after it."""
    rates = []
    for _ in range(reports):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step(*metric)
    return rates


@pytest.mark.parametrize(("name", "stop"), [("plateau", 9), ("cosine", 82)])
def test_it_works_with_the_schedulers_of_torch(first_stop, name, stop):
    from torch import nn, optim
    from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

    optimizer = optim.SGD([nn.Parameter(nn.init.zeros_(nn.Linear(1, 1).weight))], lr=0.1)
    if name == "plateau":
        rates = rates_of(ReduceLROnPlateau(optimizer, patience=4), 20, 1.0)
    else:
        rates = rates_of(CosineAnnealingLR(optimizer, 100), 100)
    assert first_stop(decayed(), curves={"m": [1.0] * len(rates), "lr": rates}) == stop


@pytest.mark.parametrize("peak", [0.1, 3e-4, 2e-5])
@pytest.mark.parametrize(
    ("factor", "reductions", "share"), [(0.1, 2, 0.01), (0.1, 3, 0.001), (0.2, 2, 0.04), (0.5, 2, 0.25)]
)
def test_a_share_of_the_peak_is_reached_however_it_was_rounded(first_stop, peak, factor, reductions, share):
    """0.1 · 0.1 · 0.1 is a little more than 0.01 · 0.1 in floating point."""
    rates = [peak]
    for _ in range(reductions):
        rates.append(rates[-1] * factor)
    rates += rates[-1:] * 2
    curves = {"m": [1.0] * len(rates), "lr": rates}
    assert first_stop(decayed(decayedTo=share, cooldown=1), curves=curves) == len(rates)


def test_a_rate_that_rises_by_rounding_alone_stands_still(first_stop):
    rates = [0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2]
    assert first_stop(decayed(decayedTo=1.0), curves={"m": [1.0] * 4, "lr": rates}) == 3
