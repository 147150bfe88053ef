"""What has happened to a run, added up as it comes: the same however it came, and never folded again."""

import pytest
from gpujob import JOB
from shadowed import FLAT, SHADOWS, judged_by

from trainjobs.api import Stopping
from trainjobs.api.length import Length
from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    Halted,
    Progress,
    Reported,
    Restarting,
    Started,
    Starting,
)
from trainjobs.runs.run_state import History, Phase, RunState
from trainjobs.stopping import Observation

SEEN = Observation(step=5, epoch=1, seconds=10.0, metrics={})


def after(state, *told):
    for event in told:
        state = state.after(event)
    return state


@pytest.mark.parametrize("resumed", range(6))
def test_shadow_stops_are_the_same_however_the_history_came(resumed):
    started = Started(2, 2, "cpu", None, 0, 10, history=tuple(FLAT[:resumed]))
    told = after(RunState.of(SHADOWS), started, *list(judged_by(SHADOWS, FLAT))[resumed:])
    changed = after(RunState.of(Stopping(), FLAT), CriteriaChanged(SHADOWS))
    assert told.shadows == changed.shadows
    assert list(told.shadows) == ["plateau", "budget"]


def test_criteria_that_cannot_read_the_history_leave_it_unjudged():
    changed = after(RunState.of(Stopping(), [SEEN]), CriteriaChanged(SHADOWS))
    assert (changed.shadows, changed.results, changed.best, changed.waiting) == ({}, (), None, "")
    assert list(changed.history) == [SEEN]


CURVE = tuple(
    Observation(epoch=n, step=5 * n, seconds=n, metrics={"val_loss": value})
    for n, value in enumerate((0.5, 0.3, 0.4), start=1)
)


def test_a_resumed_run_knows_its_best_before_its_first_report():
    best = after(RunState.of(JOB.spec.stopping), Started(1, 2, "cpu", 15, 3, 10, CURVE)).best
    assert (best.value, best.epoch) == (0.3, 2)


def test_a_best_that_was_lost_with_a_failed_attempt_is_the_best_no_more():
    told = judged_by(JOB.spec.stopping, CURVE)
    first = after(RunState.of(JOB.spec.stopping), Started(1, 2, "cpu", None, 0, 10), *told)
    assert (first.best.value, first.best.epoch) == (0.3, 2)
    second = after(first, Started(2, 2, "cpu", 5, 1, 10, CURVE[:1]))
    assert (second.best.value, second.best.epoch) == (0.5, 1)


RESUMED = Started(1, 2, "cpu", 60, 1, 10)
HALTED = Halted(None, {0: 75, 1: 76}, 1.0)


@pytest.mark.parametrize(
    ("told", "step", "phase"),
    [
        ([], 0, Phase.STARTING),
        ([RESUMED], 60, Phase.TRAINING),
        ([RESUMED, Progress(2, 70, 10, None, 5.0)], 70, Phase.TRAINING),
        ([RESUMED, Reported(Observation(2, 80, 6.0, {}))], 80, Phase.TRAINING),
        ([RESUMED, Progress(2, 90, 10, None, 5.0), HALTED], 76, Phase.HALTED),
        ([RESUMED, HALTED, Checkpointed("x", 1, 75, 0.1)], 76, Phase.KEPT),
        ([RESUMED, Checkpointed("x", 1, 75, 0.1)], 60, Phase.TRAINING),
        ([RESUMED, Progress(2, 70, 10, None, 5.0), Restarting(2, "lost", 60)], 60, Phase.RESTARTING),
        ([RESUMED, HALTED, Starting(2, 1)], 60, Phase.STARTING),
    ],
)
def test_a_run_is_where_the_newest_word_says(told, step, phase):
    state = after(RunState(), *told)
    assert (state.step, state.phase) == (step, phase)


def test_a_history_that_grows_leaves_the_shorter_ones_as_they_were():
    none = History()
    one = none.plus(CURVE[0])
    two, other = one.plus(CURVE[1]), one.plus(CURVE[2])
    assert [list(history) for history in (none, one, two, other)] == [
        [],
        [CURVE[0]],
        [CURVE[0], CURVE[1]],
        [CURVE[0], CURVE[2]],
    ]
    assert (two[-1], two[0], two[:1], len(two), bool(none)) == (CURVE[1], CURVE[0], [CURVE[0]], 2, False)
    assert list(reversed(other)) == [CURVE[2], CURVE[0]]
    with pytest.raises(IndexError):
        one[1]


MID = Observation(step=5, epoch=2, seconds=10.0, metrics={}, whole=False)
EPOCHS, STEPS, ONE = Length.of(12_000, None), Length.of(None, 40), Length.of(1, None)


@pytest.mark.parametrize(
    ("seen", "epochs", "amid", "place"),
    [
        (None, None, False, (0, "after epoch 0")),
        (SEEN, None, False, (1, "after epoch 1")),  # an earlier version did not say
        (MID, None, False, (1, "in epoch 2")),
        (SEEN, 1, False, (1, "after epoch 1")),
        (SEEN, 1, True, (1, "in epoch 2")),
        (SEEN, 0, True, (1, "after epoch 1")),  # what follows the report of its epoch
        (MID, 4, True, (4, "in epoch 5")),
        (MID, 4, False, (4, "after epoch 4")),
    ],
)
def test_where_a_run_has_halted_some_epochs_after_its_last_report(seen, epochs, amid, place):
    halted = Halted(None, {0: 5}, 0.0, None, epochs, amid)
    state = RunState(history=History([seen] if seen else []), halted=halted)
    assert (state.epochs, state.place) == place


@pytest.mark.parametrize(
    ("whole", "seen", "length", "words"),
    [
        (True, SEEN, EPOCHS, "trained all 12,000 epochs"),
        (True, SEEN, ONE, "trained all 1 epoch"),
        (True, SEEN, Length.of(None, 3), "trained 5 steps, more than the 3 that are asked for now"),
        (None, SEEN, STEPS, "trained all 40 steps"),  # an earlier version did not say
        (False, SEEN, EPOCHS, "the training function returned after epoch 1 of 12,000"),
        (False, MID, EPOCHS, "the training function returned in epoch 2 of 12,000"),
        (False, MID, STEPS, "the training function returned after step 5 of 40"),
        (False, None, STEPS, "the training function returned before the first report"),
    ],
)
def test_how_a_run_has_ended_that_nothing_stopped(whole, seen, length, words):
    state = RunState(history=History([seen] if seen else []), halted=Halted(None, {0: 5}, 0.0, whole))
    assert state.finish(length) == words
