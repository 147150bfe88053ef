import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api.stopping import WhenMissing
from trainjobs.stopping import MissingMetric, Observation

SEEN = Observation(3, 30, 6.5, {"val_loss": 0.4, "train_loss": 0.2})
observations = st.builds(
    Observation,
    epoch=st.integers(0, 10**6),
    step=st.integers(0, 10**12),
    seconds=st.floats(0, 1e9),
    metrics=st.dictionaries(st.text(max_size=8), st.floats(), max_size=4),
)


@settings(max_examples=100)
@given(observations)
def test_json_carries_every_observation_exactly(seen):
    text = json.dumps(seen.to_dict(), allow_nan=False)
    back = Observation.from_dict(json.loads(text))
    assert (back.epoch, back.step, back.seconds) == (seen.epoch, seen.step, seen.seconds)
    assert {name: repr(value) for name, value in back.metrics.items()} == {
        name: repr(value) for name, value in seen.metrics.items()
    }


@pytest.mark.parametrize(
    ("value", "written"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (1, 1.0)]
)
def test_what_json_has_no_number_for_is_written_as_a_string(value, written):
    assert Observation(1, 1, 1.0, {"m": value}).to_dict()["metrics"] == {"m": written}


def test_a_reported_metric_is_read():
    assert SEEN.read("val_loss", WhenMissing.ERROR, "here") == 0.4


def test_a_missing_metric_that_may_be_missing_is_none():
    assert SEEN.read("val_los", WhenMissing.IGNORE, "here") is None


def test_a_missing_metric_is_an_error_that_says_where_and_what_to_do():
    with pytest.raises(MissingMetric) as caught:
        SEEN.read("val_los", WhenMissing.ERROR, "spec.stopping.criteria[0].plateau")
    assert str(caught.value) == (
        'spec.stopping.criteria[0].plateau: metric "val_los" was not reported at epoch 3; '
        'reported: val_loss, train_loss; did you mean "val_loss"? '
        "Report it, name another, or set whenMissing: Ignore to pass over such reports."
    )
    assert (caught.value.metric, caught.value.nearest) == ("val_los", "val_loss")


def test_a_report_amid_an_epoch_is_named_by_its_step():
    with pytest.raises(MissingMetric, match="was not reported at step 30; "):
        replace(SEEN, whole=False).read("val_los", WhenMissing.ERROR, "here")


@pytest.mark.parametrize(
    ("metrics", "words"),
    [({}, "reported: none. Report it"), ({"accuracy": 1.0}, "reported: accuracy. Report it")],
)
def test_no_name_is_suggested_when_none_is_near(metrics, words):
    with pytest.raises(MissingMetric) as caught:
        Observation(1, 1, 1.0, metrics).read("zzz", WhenMissing.ERROR, "here")
    assert words in str(caught.value)
