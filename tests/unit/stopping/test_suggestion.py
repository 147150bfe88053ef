import pytest

from trainjobs.api.stopping import Stopping
from trainjobs.stopping.hindsight import Spread, Summary
from trainjobs.stopping.suggestion import candidates, gained, ranked


def summary(name, saved, mean):
    return Summary(name, 3, 1, saved, {"m": Spread(mean, mean, mean)} if mean is not None else {})


def test_what_gives_up_little_enough_goes_first_most_saving_before_others():
    few = [
        summary("a", 0.2, 0.0),
        summary("b", 0.9, 0.5),
        summary("c", 0.5, 0.1),
        summary("d", 0.7, 0.3),
        summary("e", 0.9, None),
    ]
    assert [one.name for one in ranked(few, "m", 0.1)] == ["c", "a", "d", "b", "e"]


def test_a_manifests_own_criteria_are_candidates_once():
    own = {
        "monitor": "val_accuracy",
        "mode": "max",
        "criteria": [{"auto": {}}, {"plateau": {"patience": 10}}],
    }
    found = candidates(Stopping.model_validate(own), frozenset({"val_accuracy"}))
    assert [one.key for one in found[:2]] == ["auto", "plateau"]
    assert sum(one.key == "auto" for one in found) == 1
    tens = [
        one for one in found if one.plateau and one.plateau.model_dump(exclude_unset=True) == {"patience": 10}
    ]
    assert len(tens) == 1


@pytest.mark.parametrize(("reported", "monitors"), [({"val_loss"}, {None, "val_loss"}), (set(), {None})])
def test_the_loss_beside_an_accuracy_is_tried_where_it_is_reported(reported, monitors):
    stopping = Stopping.model_validate({"monitor": "val_accuracy", "mode": "max"})
    found = candidates(stopping, frozenset({"val_accuracy", *reported}))
    assert {one.parameters.monitor for one in found} == monitors


def test_candidates_need_a_monitor():
    with pytest.raises(ValueError, match="got none"):
        candidates(Stopping(), frozenset())


def test_what_runs_have_gained_is_how_far_the_metric_moved(history):
    assert gained([history([1.0, 0.5, 0.7]), history([0.2, 0.3])], "m") == pytest.approx(0.3)
    assert gained([history([float("nan"), float("inf")])], "m") == 0
    assert gained([history([None, 1.0])], "n") == 0
