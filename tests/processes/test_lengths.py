"""A run's length in steps, reports amid an epoch, checkpoints by steps."""

import pytest
from living import LOSS, LivingWorkers, outcome, shape, trained
from trials import Trial

from trainjobs.exits import Exit
from trainjobs.runs import events

BY_STEPS = {"max_epochs": None, "max_steps": 13}


@pytest.fixture(scope="module")
def living():
    workers = LivingWorkers(2)
    yield workers
    workers.close()


@pytest.mark.parametrize("loop", ["train", "own_steps", "own_polls"])
@pytest.mark.parametrize("loader", ["prepared", "stream"])
def test_a_run_of_so_many_steps_ends_at_that_step_on_every_rank(living, tmp_path, loop, loader):
    trial, _ = trained(living, tmp_path / "run", loop, shape(loader=loader), **BY_STEPS)
    assert trial.place.result()["state"] == "Finished"
    assert set(trial.of(events.Halted)[-1].steps.values()) == {13}
    assert trial.place.result()["accounting"]["baseline"] == "MaxSteps"


@pytest.mark.parametrize("halt", [5, 9, 14, 20])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_of_so_many_steps_that_was_halted_equals_its_undisturbed_self(
    living, tmp_path, halt, accumulate
):
    config = shape(accumulate=accumulate, evaluate="both", report="both")
    parts = {"max_epochs": None, "max_steps": 7}
    whole, _ = trained(living, tmp_path / "whole", "train", config, **parts)
    broken, _ = trained(living, tmp_path / "broken", "train", config | {"halt": halt}, **parts)
    assert outcome(broken) == outcome(whole)


def test_a_loop_that_makes_no_step_does_not_go_on_for_ever(living, tmp_path):
    trial = Trial(make(tmp_path / "run"), living)
    result = trial.train(
        entrypoint="shapes:own_epochs", config=shape() | {"mark": "none"}, stopping=LOSS, **BY_STEPS
    )
    assert result.exit_code == Exit.CONFIG
    assert "spec.trainer.maxSteps: 13: epoch 1 made no step" in result.document["failure"]["message"]


@pytest.mark.parametrize(
    ("every", "steps"),
    [({"everySteps": 2}, [2, 4, 5, 6, 8, 10]), ({"everySteps": 3, "everyEpochs": 9}, [3, 6, 9, 10])],
)
@pytest.mark.parametrize("loop", ["train", "own_steps", "own_polls"])
def test_checkpoints_are_written_every_so_many_steps(living, tmp_path, every, steps, loop):
    trial, _ = trained(living, tmp_path / "run", loop, shape(), max_epochs=2, checkpoint=every)
    assert sorted({saved.step for saved in trial.of(events.Checkpointed)}) == steps


CRITERIA = [
    ({"plateau": {"patience": 2, "minDelta": 100}}, 5, "plateau"),
    ({"budget": {"epochs": 2}}, 10, "budget"),
    ({"budget": {"steps": 7}}, 7, "budget"),
    (
        {"threshold": {"monitor": "count", "mode": "max", "value": 1}, "startAfter": {"step": 6}},
        7,
        "threshold",
    ),
    (
        {"threshold": {"monitor": "count", "mode": "max", "value": 1}, "startAfter": {"epoch": 1}},
        7,
        "threshold",
    ),
]


@pytest.mark.parametrize(("criterion", "step", "name"), CRITERIA, ids=str)
def test_reports_amid_an_epoch_are_judged_by_what_is_finished(living, tmp_path, criterion, step, name):
    config = shape(evaluate="both", report="both")
    trial, _ = trained(living, tmp_path / "run", "train", config, LOSS | {"criteria": [criterion]})
    stopping = trial.place.result()["stopping"]
    assert (stopping["criterion"], stopping["haltedAtStep"]) == (name, step)


@pytest.mark.parametrize("forget", [False, True])
def test_a_report_after_a_loop_that_was_left_finishes_its_epoch_once_its_iterator_is_forgotten(
    living, tmp_path, forget
):
    trial, _ = trained(living, tmp_path / "run", "named_iterator", shape() | {"forget": forget})
    assert [seen.epochs for seen in trial.place.history()] == ([1, 2, 3] if forget else [0, 1, 2])
    assert set(trial.of(events.Halted)[-1].steps.values()) == {3}


def test_a_run_of_so_many_steps_says_in_steps_why_it_stops(living, tmp_path):
    criteria = {"criteria": [{"plateau": {"patience": 1, "minDelta": 100}}]}
    trial, _ = trained(living, tmp_path / "run", "train", shape(), LOSS | criteria, **BY_STEPS)
    reason = trial.place.result()["stopping"]["reason"]
    assert "(step 5) by more than 100 for 1 report" in reason
    assert [decided.decision.reason for decided in trial.of(events.Decided)] == [reason]


def make(directory):
    directory.mkdir()
    return directory


def test_a_function_that_returns_before_its_length_has_not_trained_all(living, tmp_path):
    trial, _ = trained(living, tmp_path / "run", "train", shape(epochs=2))
    assert [each["message"] for each in trial.place.result()["conditions"]] == [
        "the training function returned after epoch 2 of 3"
    ]
