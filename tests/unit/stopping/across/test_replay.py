"""What pruning would have done to trials that are recorded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api.monitoring import Mode
from trainjobs.api.pruning import Objective, Pruning
from trainjobs.stopping import Observation
from trainjobs.stopping.across.replay import replay

MEDIAN = Pruning.model_validate({"criteria": [{"median": {}}], "minTrials": 1, "startAfter": {"epoch": 0}})
NAN = float("nan")


def trials(**curves):
    """One report an epoch, of a loss and ten times of it on test data."""
    return {
        name: tuple(Observation(i, i, 0.0, {"loss": v, "test": 10 * v}) for i, v in enumerate(values, 1))
        for name, values in curves.items()
    }


def replayed(at="best", mode="min", pruning=MEDIAN, **curves):
    return replay(trials(**curves), Objective(metric="loss", mode=mode, at=at), pruning)


def test_a_trial_that_others_beat_is_pruned_and_reports_no_more():
    found = replayed(a=[3, 2, 1], b=[5, 6, 0.5], c=[2, 2, 2])
    assert [(one.trial, one.epoch, one.criterion) for one in found.pruned] == [
        ("b", 1, "median"),
        ("c", 3, "median"),
    ]
    assert "worse than" in found.pruned[0].reason
    assert (found.epochs, found.recorded) == (7, 9)
    assert (found.chosen.trial, found.chosen.seen.epoch) == ("a", 3)
    assert (found.best.trial, found.best.seen.epoch) == ("b", 3)
    assert found.regret("loss", Mode.MIN) == 0.5
    assert found.regret("test", Mode.MIN) == 5
    assert found.regret("accuracy", Mode.MAX) is None


@pytest.mark.parametrize(
    ("settings", "curves", "chosen", "epoch"),
    [
        ({}, {"a": [1, 3], "b": [2, 2]}, "a", 1),
        ({"at": "last"}, {"a": [1, 3], "b": [2, 2]}, "b", 2),
        ({"mode": "max"}, {"a": [1, 3], "b": [2, 2]}, "a", 2),
        ({}, {"a": [NAN, NAN], "b": [2, NAN]}, "b", 1),
        ({}, {"a": [2, 2], "b": [2, 2]}, "a", 1),
    ],
)
def test_the_best_is_that_of_the_objective(settings, curves, chosen, epoch):
    found = replayed(pruning=Pruning(), **settings, **curves)
    assert (found.best.trial, found.best.seen.epoch) == (chosen, epoch)
    assert found.chosen == found.best
    assert (found.pruned, found.epochs) == ((), found.recorded)


def test_where_nothing_is_finite_nothing_is_chosen():
    found = replayed(pruning=Pruning(), a=[NAN], b=[float("inf")])
    assert (found.chosen, found.best, found.regret("loss", Mode.MIN)) == (None, None, None)


def test_reports_amid_an_epoch_and_trials_of_other_lengths_are_trained_as_they_were():
    amid = Observation(1, 5, 0.0, {"loss": 0.1}, whole=False)
    histories = {**trials(a=[3, 2], b=[1, 1, 1]), "c": (amid, Observation(1, 9, 0.0, {"loss": 9.0}))}
    found = replay(histories, Objective(metric="loss"), MEDIAN)
    assert ("c", 1) in [(one.trial, one.epoch) for one in found.pruned]
    assert (found.best.trial, found.recorded) == ("b", 6)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text("abcd", min_size=1), st.lists(st.floats(-5, 5), min_size=1, max_size=6), min_size=1
    ),
    st.sampled_from(["min", "max"]),
    st.sampled_from(["best", "last"]),
)
def test_the_regret_of_the_best_until_then_is_never_negative(curves, mode, at):
    histories = trials(**curves)
    found = replay(histories, Objective(metric="loss", mode=mode, at=at), MEDIAN)
    if at == "best":
        assert found.regret("loss", Mode(mode)) >= 0
    assert found.recorded - found.epochs == sum(len(curves[one.trial]) - one.epoch for one in found.pruned)
