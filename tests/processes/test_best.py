"""Best is the best: the weights that a run ends with are those of its best report, and every word of it is true."""

import pytest
import torch
from living import LivingWorkers
from trials import Trial

from trainjobs.api import Stopping
from trainjobs.cli.rendering.summary import document
from trainjobs.exits import Exit
from trainjobs.local.run_report import read
from trainjobs.runs import events

PATIENT = {"monitor": "loss", "restoreBest": True, "criteria": [{"plateau": {"patience": 3}}]}


@pytest.fixture(scope="module")
def living():
    workers = LivingWorkers(1)
    yield workers
    workers.close()


@pytest.fixture
def trial(living, tmp_path):
    return Trial(tmp_path, living)


def ended(trial, loop, stopping=PATIENT, react=lambda _: None, **parts):
    result = trial.train(
        react, entrypoint=f"best:{loop}", stopping=stopping, workers=1, max_epochs=6, **parts
    )
    assert result.exit_code == Exit.DONE, result.document
    (weight,) = torch.load(trial.place.model, weights_only=True).values()
    return result, weight.item()


@pytest.mark.parametrize(
    ("loop", "weight"),
    [
        ("epochs_alone", 2),
        ("two_reports", 2),
        ("silent_epochs", 3),
        ("amid", 2),
        ("amid_a_step", 2),
        ("inner_loop", 2),
        ("averaged", 2),
        ("before_the_steps", 1),
        ("spoiled_before_the_steps", 2),
        ("left", 2),
        ("own_reports", 2),
        ("own_polls", 2),
    ],
)
@pytest.mark.parametrize("keep", [1, 2])
def test_the_best_weights_are_those_of_the_best_report(trial, loop, weight, keep):
    stopping = PATIENT if loop != "two_reports" else PATIENT | {"criteria": []}
    result, kept = ended(trial, loop, stopping=stopping, checkpoint={"keep": keep})
    assert kept == weight
    assert f"after the loop {weight}" in [event.text for event in trial.of(events.Printed)]
    (saved,) = trial.of(events.ModelSaved)
    assert saved.best
    assert result.document["model"]["weights"] == "Best"
    assert f"model.pt has the best weights, of epoch {saved.epoch}" in document(read(trial.place))["kept"]


def test_who_calls_sys_exit_has_returned(trial):
    _, kept = ended(trial, "exits")
    assert kept == 2
    story = document(read(trial.place))
    assert (
        story["headline"] == "The training function returned after epoch 3 of 6; no criterion stopped the run"
    )
    assert "model.pt has the best weights, of epoch 2" in story["kept"]


def test_who_forgets_to_track_a_model_learns_it_at_the_beginning(trial):
    result = trial.train(entrypoint="best:untracked", max_epochs=2)
    assert result.exit_code == 0
    (warned,) = trial.of(events.Warned)
    assert "call run.track(model=model) before the loop" in warned.message
    told = trial.of(events.Warned | events.Reported)
    assert told[0] == warned
    assert document(read(trial.place))["kept"] == f"{trial.place.path}; no weights: no model was tracked"


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("STOP_REQUESTED", "Stopped on request in epoch 5 of 6, at step "),
        ("break", "The training function returned in epoch 5 of 6; no criterion stopped the run"),
    ],
)
def test_where_a_run_ends_is_where_it_ended_and_not_where_it_has_last_reported(trial, by, said):
    result, kept = ended(trial, "rarely", config={"by": by, "leave": 16})
    assert kept == 6
    told = document(read(trial.place))
    assert told["headline"].startswith(said)
    assert told["saved"]["epochs"] == 2
    assert result.document["training"]["epoch"] == 4
    assert result.document["accounting"]["epochsSaved"] == 2
    assert told["tests"] == {"test": 1}  # nothing of the steps since the last report


def test_only_improvements_are_called_best(trial):
    ended(trial, "epochs_alone")
    assert [event.report == event.best.report for event in trial.of(events.Reported)] == [
        True, True, False, False, False
    ]  # fmt: skip


def test_a_best_checkpoint_that_is_gone_is_told_and_the_last_weights_are_kept(trial):
    result, kept = ended(trial, "epochs_alone", config={"spoil": "lose"})
    assert kept == 5
    assert "the checkpoint of the best epoch 2 is gone" in trial.of(events.Warned)[-1].message
    assert not trial.of(events.ModelSaved)[0].best
    assert result.document["model"]["weights"] == "Last"
    assert "model.pt has the last weights, of epoch 5" in document(read(trial.place))["kept"]


def test_a_best_checkpoint_that_is_damaged_is_told_and_the_last_weights_are_kept(trial):
    _, kept = ended(trial, "epochs_alone", config={"spoil": "damage"})
    assert kept == 5
    assert "cannot be read" in trial.of(events.Warned)[-1].message


@pytest.mark.parametrize(
    "loop", ["epochs_alone", "two_reports", "amid", "amid_a_step", "inner_loop", "averaged", "own_polls"]
)
def test_the_best_is_found_again_after_a_resume(trial, loop):
    parts = {
        "entrypoint": f"best:{loop}",
        "stopping": PATIENT | {"criteria": []},
        "config": {"interrupt": 3},
        "checkpoint": {"keep": 1},
    }
    assert trial.train(workers=1, max_epochs=6, **parts).exit_code == Exit.INTERRUPTED
    del parts["entrypoint"]
    assert ended(trial, loop, **parts)[1] == 2


@pytest.mark.parametrize(
    ("before", "after", "weight"),
    [({}, {"restoreBest": True}, 2), ({"restoreBest": True}, {"restoreBest": True, "mode": "max"}, 1)],
    ids=["restored after all", "another best"],
)
def test_the_best_is_that_of_the_criteria_at_the_end(trial, before, after, weight):
    limit = {"criteria": [{"budget": {"steps": 1000}}]}  # for which the function waits

    def change(event):
        if isinstance(event, events.Reported) and event.report == 1:
            trial.control.change(Stopping.model_validate({"monitor": "loss"} | limit | after))

    _, kept = ended(
        trial,
        "epochs_alone",
        stopping={"monitor": "loss"} | before,
        react=change,
        config={"await_change": True},
    )
    assert kept == weight
    assert f"after the loop {weight}" in [event.text for event in trial.of(events.Printed)]
    assert document(read(trial.place))["best"]["epoch"] == weight


def test_without_restore_best_the_words_say_last(trial):
    _, kept = ended(trial, "epochs_alone", stopping={"monitor": "loss"})
    assert kept == 6
    assert "model.pt has the last weights, of epoch 6" in document(read(trial.place))["kept"]
