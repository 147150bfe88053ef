"""What a run leaves for trackers, and that none of them costs it anything."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trials import RECIPES, manifest

from trainjobs.driver.driver import train
from trainjobs.exits import Exit
from trainjobs.runs import events
from trainjobs.runs.requests import Control

LOSS = {"monitor": "val_loss"}


def scalars(trial):
    reader = EventAccumulator(str(trial.place.path / "tensorboard"), size_guidance={"scalars": 0})
    return {tag: reader.Scalars(tag) for tag in reader.Reload().Tags()["scalars"]}, reader


def test_an_interrupted_run_and_its_resume_are_one_log_with_each_step_once(trial):
    config = {"mishaps": [{"what": "interrupt", "step": 17, "rank": 0}]}
    assert trial.train(stopping=LOSS, config=config).exit_code == Exit.INTERRUPTED
    assert trial.train(stopping=LOSS, config=config).exit_code == Exit.DONE
    found, reader = scalars(trial)
    history = trial.place.history()
    assert len(history) == 4
    assert [each.step for each in found["val_loss"]] == [seen.step for seen in history]
    assert [each.value for each in found["epoch"]] == [1, 2, 3, 4]
    assert found["best/val_loss"][-1].value == min(each.value for each in found["val_loss"])
    told = [each.tensor_proto.string_val[0].decode() for each in reader.Tensors("decision")]
    assert [sentence.partition(" ")[0] for sentence in told] == ["Interrupted", "Finished"]


def test_a_lost_process_leaves_no_step_twice(trial):
    config = {"mishaps": [{"what": "die", "step": 20, "rank": 1}]}
    assert trial.train(stopping=LOSS, config=config).exit_code == Exit.DONE
    assert len(trial.of(events.Started)) == 2
    assert [each.step for each in scalars(trial)[0]["val_loss"]] == [
        seen.step for seen in trial.place.history()
    ]


def test_a_log_that_cannot_be_written_is_told_once_and_costs_the_run_nothing(trial):
    trial.place.create()
    (trial.place.path / "tensorboard").write_text("in the way")
    assert trial.train(stopping=LOSS).exit_code == Exit.DONE
    (warned,) = [event for event in trial.of(events.Warned) if "is told no more" in event.message]
    assert warned.message.startswith("tensorboard is told no more of this run: FileExistsError: ")
    assert warned in trial.place.events()


def test_in_a_pod_the_log_is_on_the_storage_beside_the_checkpoints(trial, tmp_path):
    """What is on a pod's own disk goes with it."""
    job = manifest(trial.marks, stopping=LOSS, max_epochs=1, workers=1)
    storage = tmp_path / "volume" / "trial-0123abcd"
    with trial.place.hold():
        train(
            job, trial.place, lambda _: None, Control(), RECIPES, trial.workers, storage=f"file://{storage}"
        )
    assert {path.name for path in storage.iterdir()} >= {"checkpoints", "tensorboard"}
    assert not (trial.place.path / "tensorboard").exists()


def test_no_log_is_written_when_none_is_asked_for(trial):
    assert trial.train(stopping=LOSS, max_epochs=1, reportTo=[]).exit_code == Exit.DONE
    assert not (trial.place.path / "tensorboard").exists()
