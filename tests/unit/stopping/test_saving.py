"""What a stop leaves untrained, in the unit of the length and at the pace until there."""

import pytest

from trainjobs.api import Length
from trainjobs.stopping import Observation, against_length, replay
from trainjobs.stopping.saving import Saving, against_end, against_length_at


def reported(*marks):
    """A report every ten steps and two seconds, each of an epoch that is over with it or not."""
    return tuple(
        Observation(epoch, 10 * i, 2.0 * i, {}, whole=whole) for i, (epoch, whole) in enumerate(marks, 1)
    )


WHOLE = reported((1, False), (1, True), (2, False), (2, True))
AMID = reported((1, False), (1, True), (2, False), (2, True), (3, False))
SLOWER = reported((1, False), (1, True), (2, False), (2, False), (2, False))
BEGUN = reported((1, False), (1, False), (1, False))


@pytest.mark.parametrize(
    ("length", "history", "end", "saved"),
    [
        (Length.of(10, None), WHOLE, 0, (8, 160, 32.0, "MaxEpochs")),
        (Length.of(10, None), AMID, 0, (8, 150, 30.0, "MaxEpochs")),
        (Length.of(1, None), BEGUN, 0, (1, 0, 0.0, "MaxEpochs")),
        (Length.of(2, None), WHOLE, 0, (0, 0, 0.0, "MaxEpochs")),
        (Length.of(1, None), WHOLE, 0, (0, 0, 0.0, "MaxEpochs")),
        (Length.of(2, None), SLOWER, 0, (1, 0, 0.0, "MaxEpochs")),
        (Length.of(3, None), (), 7, (3, 0, 0.0, "MaxEpochs")),
        (
            Length.of(10, None),
            AMID,
            (65, 3),
            (7, 135, 27.0, "MaxEpochs"),
        ),  # ended amid epoch 4, one report before
        (Length.of(10, None), WHOLE, (45, 2), (8, 155, 31.0, "MaxEpochs")),
        (Length.of(3, None), AMID, (60, 3), (0, 0, 0.0, "MaxEpochs")),
        (Length.of(None, 100), WHOLE, 0, (0, 60, 12.0, "MaxSteps")),
        (Length.of(None, 100), BEGUN, 0, (0, 70, 14.0, "MaxSteps")),
        (Length.of(None, 100), BEGUN, 35, (0, 65, 13.0, "MaxSteps")),
        (Length.of(None, 40), WHOLE, 0, (0, 0, 0.0, "MaxSteps")),
        (Length.of(None, 30), WHOLE, 0, (0, 0, 0.0, "MaxSteps")),
        (Length.of(None, 100), (), 7, (0, 93, 0.0, "MaxSteps")),
        (Length.of(None, 100), (Observation(1, 0, 2.0, {}),), 0, (0, 100, 0.0, "MaxSteps")),
    ],
)
def test_what_is_saved_of_a_length(length, history, end, saved):
    found = against_length(length, history, *(end if isinstance(end, tuple) else (end,)))
    assert (found.epochs, found.steps, found.seconds, found.baseline) == saved
    assert found.estimated


CURVE = [0.9, 0.5, 0.6, 0.6, 0.4, 0.3]
PLATEAU = {"plateau": {"patience": 2}}


def test_savings_name_their_baseline(panel, history):
    stop = replay(panel(PLATEAU), history(CURVE), Length.of(10, None)).criteria[0].stop
    end, full = stop.saved, stop.saved_of_max
    assert (end.epochs, end.steps, end.seconds, end.baseline, end.estimated) == (
        2,
        20,
        4.0,
        "HistoryEnd",
        False,
    )
    assert (full.epochs, full.steps, full.seconds, full.baseline, full.estimated) == (
        6,
        60,
        12.0,
        "MaxEpochs",
        True,
    )


@pytest.mark.parametrize(
    ("end", "at", "saved"),
    [
        (WHOLE[3], WHOLE[1], (1, 20, 4.0)),
        (AMID[4], AMID[1], (1, 30, 6.0)),
        (AMID[4], AMID[2], (1, 20, 4.0)),
        (WHOLE[3], WHOLE[3], (0, 0, 0.0)),
    ],
)
def test_what_an_earlier_end_would_have_saved_of_a_run_is_known_not_estimated(end, at, saved):
    assert against_end(end, at) == Saving(*saved, "HistoryEnd", estimated=False)


@pytest.mark.parametrize("length", [Length.of(10, None), Length.of(None, 100)])
@pytest.mark.parametrize("history", [WHOLE, AMID, BEGUN, ()])
def test_the_last_report_and_the_last_whole_epoch_are_all_there_is_to_it(length, history):
    last = history[-1] if history else None
    whole = next((seen for seen in reversed(history) if seen.whole), None)
    assert against_length_at(length, last, whole) == against_length(length, history)
