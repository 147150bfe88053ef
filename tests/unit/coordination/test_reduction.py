"""A metric is the mean over all samples of all ranks; a rank may be silent about it only if it had no data."""

import math

import pytest

from trainjobs.coordination import MetricMismatch, WeightlessMetric
from trainjobs.coordination.reduction import means

LOSS, NO_LOSS = {"loss": (6.0, 2)}, {}


@pytest.mark.parametrize(
    ("reports", "without_data", "result"),
    [
        ([LOSS, {"loss": (0.0, 1)}], [], {"loss": 2.0}),
        ([LOSS, {"loss": (0.0, 0)}], [], {"loss": 3.0}),
        ([LOSS, NO_LOSS], [1], {"loss": 3.0}),
        ([NO_LOSS, LOSS, NO_LOSS], [0, 2], {"loss": 3.0}),
        ([{"acc": (1.0, 1), **LOSS}, {"acc": (0.0, 1)}], [1], {"acc": 0.5, "loss": 3.0}),
        ([LOSS, {"loss": (0.0, 1)}], [1], {"loss": 2.0}),
        ([NO_LOSS, NO_LOSS], [0, 1], {}),
        ([LOSS, NO_LOSS], [], MetricMismatch("loss", [0], [1])),
        ([LOSS, NO_LOSS], [0], MetricMismatch("loss", [0], [1])),
        ([LOSS, NO_LOSS, NO_LOSS], [2], MetricMismatch("loss", [0], [1])),
        ([{"loss": (0.0, 0)}, NO_LOSS], [1], WeightlessMetric("loss")),
    ],
)
def test_what_a_rank_does_not_report(reports, without_data, result):
    if isinstance(result, dict):
        assert means(reports, without_data) == result
        return
    with pytest.raises(type(result)) as raised:
        means(reports, without_data)
    assert raised.value.args == result.args


PAIRS = [
    ([(6.0, 2), (1.0, 2)], 1.75),
    ([(0.0, 0), (1.0, 2)], 0.5),
    ([(1e308, 1), (1e308, 1)], math.inf),
    ([(math.inf, 1), (-math.inf, 1)], math.nan),
    ([(math.nan, 1), (1.0, 1)], math.nan),
    ([(-math.inf, 1), (1.0, 1)], -math.inf),
    ([(0.1, 1)] * 10, 0.1),
]


@pytest.mark.parametrize(("pairs", "mean"), PAIRS)
def test_metrics_are_reduced_exactly(pairs, mean):
    assert means([{"loss": pair} for pair in pairs]) == pytest.approx(
        {"loss": mean}, rel=0, abs=0, nan_ok=True
    )
