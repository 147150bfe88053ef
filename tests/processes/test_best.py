"""Best is the best: the weights that a run ends with are those of its best report, and every word of it is true."""

import pytest
import torch
from living import LivingWorkers
from trials import Trial

from trainjobs.cli.run_report import read
from trainjobs.cli.summary import document
from trainjobs.exits import Exit
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


def ended(trial, loop, react=lambda _: None, stopping=PATIENT, **parts):
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
        ("before_the_steps", 1),
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


def test_only_improvements_are_called_best(trial):
    ended(trial, "epochs_alone")
    assert [event.report == event.best.report for event in trial.of(events.Reported)] == [
        True, True, False, False, False
    ]  # fmt: skip


def test_a_best_checkpoint_that_is_gone_is_told_and_the_last_weights_are_kept(trial):
    def lose(event):
        if isinstance(event, events.Reported) and event.report == 4:
            for path in trial.place.checkpoints.glob("*report-00002*"):
                path.unlink()

    result, kept = ended(trial, "epochs_alone", lose)
    assert kept == 5
    assert "the checkpoint of the best epoch 2 is gone" in trial.of(events.Warned)[-1].message
    assert not trial.of(events.ModelSaved)[0].best
    assert result.document["model"]["weights"] == "Last"
    assert "model.pt has the last weights, of epoch 5" in document(read(trial.place))["kept"]


def test_a_best_checkpoint_that_is_damaged_is_told_and_the_last_weights_are_kept(trial):
    def damage(event):
        if isinstance(event, events.Reported) and event.report == 4:
            for path in trial.place.checkpoints.glob("*report-00002*"):
                path.write_bytes(b"nothing")

    _, kept = ended(trial, "epochs_alone", damage)
    assert kept == 5
    assert "cannot be read" in trial.of(events.Warned)[-1].message


@pytest.mark.parametrize("loop", ["epochs_alone", "two_reports", "amid", "own_polls"])
def test_the_best_is_found_again_after_a_resume(trial, loop):
    def interrupt(event):
        if isinstance(event, events.Reported) and event.report == 3:
            trial.control.interrupt("test")

    stopping = PATIENT | {"criteria": []}
    first = trial.train(
        interrupt,
        entrypoint=f"best:{loop}",
        stopping=stopping,
        workers=1,
        max_epochs=6,
        checkpoint={"keep": 1},
    )
    if first.exit_code == Exit.INTERRUPTED:
        assert ended(trial, loop, stopping=stopping, checkpoint={"keep": 1})[1] == 2


def test_without_restore_best_the_words_say_last(trial):
    _, kept = ended(trial, "epochs_alone", stopping={"monitor": "loss"})
    assert kept == 6
    assert "model.pt has the last weights, of epoch 6" in document(read(trial.place))["kept"]
