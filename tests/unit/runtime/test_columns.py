"""A history comes back from its columns exactly."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.runtime.checkpoint import columns
from trainjobs.stopping import Observation

COUNTS = st.integers(0, 2**62)
METRICS = st.dictionaries(st.text(max_size=8), st.floats(), max_size=4)
OBSERVATIONS = st.builds(Observation, COUNTS, COUNTS, st.floats(0, 1e12), METRICS, st.booleans())


def through_a_file(document):
    buffer = io.BytesIO()
    torch.save(document, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@settings(deadline=None, max_examples=50)
@given(st.lists(OBSERVATIONS, max_size=20))
def test_every_history_comes_back_as_it_was(history):
    back = columns.decoded(through_a_file(columns.encoded(history)))
    assert [repr(seen) for seen in back] == [repr(seen) for seen in history]


def test_metrics_that_are_integers_come_back_as_numbers():
    (seen,) = columns.decoded(columns.encoded([Observation(1, 2, 3.0, {"right": 7})]))
    assert seen.metrics == {"right": 7.0}


HISTORY = [Observation(n, n, 1.0, {"a": 1.0, "b": 2.0}) for n in range(3)]


@pytest.mark.parametrize("name", ["layout", "epoch", "step", "seconds", "whole", "values"])
def test_columns_of_different_lengths_are_refused(name):
    whole = columns.encoded(HISTORY)
    for spoiled in (whole[name][:-1], torch.cat([whole[name], whole[name][:1]])):
        with pytest.raises(ValueError, match=r"shorter|longer|more values"):
            columns.decoded(whole | {name: spoiled})


def test_a_history_comes_back_wherever_the_program_puts_its_tensors_by_default():
    history = [Observation(1, 10, 0.5, {"loss": 0.25})]
    with torch.device("meta"):
        document = columns.encoded(history)
    assert columns.decoded(through_a_file(document)) == history
