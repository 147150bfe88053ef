"""What is read of a status that somebody has written badly."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainjobs.api.reading import read_status, read_sweep_status
from trainjobs.api.status import Accounting, MetricValue, TrainJobStatus
from trainjobs.api.sweep_status import TrainSweepStatus, TrialCounts

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
BEST = {"metric": "val_loss", "value": "0.25", "epoch": 7}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, {}),
        ({"restarts": -1, "failedAttempts": 2}, {"failedAttempts": 2}),
        ({"training": {"epoch": "3", "step": 9}}, {"training": {"step": 9}}),
        ({"training": {"epoch": 3, "best": {**BEST, "value": "abc"}}}, {"training": {"epoch": 3}}),
        ({"training": {"best": {"value": "1"}, "step": 9}}, {"training": {"step": 9}}),
        (
            {"training": {"metrics": [{"name": "a", "value": "x"}, {"name": "b", "value": "1"}, {"name": "c"}]}},
            {"training": {"metrics": [{"name": "b", "value": "1"}]}},
        ),
        ({"training": [], "stopping": {"criterion": "plateau"}}, {"stopping": {"criterion": "plateau"}}),
        ({"startTime": "2026-01-01T00:00:00+99:99", "restarts": 1}, {"restarts": 1}),
        ({"startTime": "9999-12-31T23:59:59Z"}, {"startTime": "1970-01-01T00:00:00Z"}),
        ({"startTime": "2026-11-21T11:00:00Z"}, {"startTime": "2026-11-21T10:00:00Z"}),
        ({"completionTime": "9999-12-31T23:59:59Z"}, {"completionTime": "2026-11-21T10:00:00Z"}),
        ({"startTime": "0001-01-01T00:00:00+23:00"}, {"startTime": "1970-01-01T00:00:00Z"}),
        (
            {"training": {"lastUpdateTime": "2027-01-01T00:00:00Z"}},
            {"training": {"lastUpdateTime": "1970-01-01T00:00:00Z"}},
        ),
        ({"later": {"version": 2}}, {}),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_left_out_and_hides_nothing_else(written, read):
    expected = TrainJobStatus.model_validate(read, by_alias=True, by_name=False)
    assert read_status(written, NOW) == expected


def test_a_status_that_can_be_read_is_read_as_it_is():
    written = {
        "startTime": "2026-11-21T09:00:00Z",
        "training": {"epoch": 7, "best": BEST},
        "activeSeconds": 3.5,
    }
    assert read_status(written, NOW) == TrainJobStatus.model_validate(written, by_alias=True, by_name=False)


@given(st.floats())
def test_every_number_of_pythons_is_one_of_a_status(value):
    for text in (repr(value), str(value)):
        read = float(MetricValue(name="a", value=text).value)
        assert read == value or (math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, TrainSweepStatus()),
        ({"restarts": "many"}, TrainSweepStatus()),
        ({"restarts": 2, "accounting": {"epochsSaved": -1}}, TrainSweepStatus(restarts=2, accounting=Accounting())),
        ({"trials": {"pruned": 3, "failed": "x"}, "nobody": 1}, TrainSweepStatus(trials=TrialCounts(pruned=3))),
    ],
)  # fmt: skip
def test_a_sweeps_status_is_read_as_a_jobs_is(written, expected):
    assert read_sweep_status(written, NOW) == expected
