"""A run's length is one number in one unit, and says everything in that unit."""

import pytest

from trainjobs.api.length import Length, Unit
from trainjobs.api.status import Baseline


@pytest.mark.parametrize(
    ("max_epochs", "max_steps", "length"),
    [
        (10, None, Length(10, Unit.EPOCH)),
        (None, 5000, Length(5000, Unit.STEP)),
        (10, 5000, Length(5000, Unit.STEP)),
    ],
)
def test_the_length_is_of_what_is_given_and_steps_are_the_finer_word(max_epochs, max_steps, length):
    assert Length.of(max_epochs, max_steps) == length


def test_a_run_without_a_length_is_refused_by_the_fields_that_would_give_one():
    with pytest.raises(ValueError, match="maxEpochs or maxSteps; got neither"):
        Length.of(None, None)


@pytest.mark.parametrize(
    ("length", "named", "field", "baseline"),
    [
        (Length.of(10, None), "of epochs", "maxEpochs", Baseline.MAX_EPOCHS),
        (Length.of(None, 5000), "of steps", "maxSteps", Baseline.MAX_STEPS),
    ],
)
def test_everything_is_said_in_the_unit_of_the_length(length, named, field, baseline):
    assert (length.named("of epochs", "of steps"), length.field, length.baseline) == (named, field, baseline)
