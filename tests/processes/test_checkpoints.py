"""Whole runs: what their checkpoints hold can be read back, and none is begun anew because its checkpoints cannot."""

import pytest
import torch

from trainjobs.exits import Exit
from trainjobs.runs import events

STATES = {"entrypoint": "states:train", "stopping": {"monitor": "loss"}}


def checkpoints(trial):
    return sorted((trial.place.path / "checkpoints").glob("*.pt"))


def message(result):
    return result.document["conditions"][0]["message"]


def test_a_state_that_becomes_unreadable_ends_the_run_and_mended_code_goes_on(trial):
    result = trial.train(**STATES, config={"score": "numpy"}, max_epochs=6)
    assert result.exit_code == Exit.DATA
    assert "tracked object 'best': state['best'] is a numpy.float64" in message(result)
    assert [event.step for event in trial.of(events.Checkpointed)] == [2, 4]
    assert len(checkpoints(trial)) == 2
    trial.events.clear()
    assert trial.train(**STATES, max_epochs=6).exit_code == Exit.DONE
    assert trial.of(events.Started)[0].resumed_from_step == 4
    assert [event.observation.epoch for event in trial.of(events.Reported)] == [3, 4, 5, 6]


def test_a_type_that_the_module_allows_is_resumed(trial):
    parts = STATES | {"config": {"score": "own", "interrupt": 3}}
    assert trial.train(**parts).exit_code == Exit.INTERRUPTED
    assert trial.train(**parts).exit_code == Exit.DONE
    assert trial.of(events.Started)[-1].resumed_from_step == trial.of(events.Halted)[0].steps[0]
    assert trial.of(events.Warned) == []


def test_a_type_that_is_allowed_too_late_to_be_resumed_is_refused_before_it_is_written(trial):
    result = trial.train(**STATES, config={"score": "late"}, workers=1)
    assert result.exit_code == Exit.DATA
    assert "states.LateScore, which could not be read back" in message(result)
    assert "at the top of the module of the training function" in message(result)


@pytest.fixture
def interrupted(trial):
    """A run of one worker, interrupted after its third epoch, with two checkpoints."""
    parts = STATES | {"config": {"interrupt": 3}, "workers": 1}
    assert trial.train(**parts).exit_code == Exit.INTERRUPTED
    trial.events.clear()
    return trial, parts


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(interrupted):
    trial, parts = interrupted
    whole = {path: path.read_bytes() for path in checkpoints(trial)}
    for path, content in whole.items():
        path.write_bytes(content[:500])
    result = trial.train(**parts)
    assert result.exit_code == Exit.DATA
    assert "there are checkpoints and none can be read" in message(result)
    assert all(path.name in message(result) for path in whole)
    assert trial.of(events.Reported) == []
    for path, content in whole.items():
        path.write_bytes(content)
    assert trial.train(**parts).exit_code == Exit.DONE
    assert [event.observation.epoch for event in trial.of(events.Reported)] == [4]


def test_a_damaged_newest_checkpoint_costs_what_was_trained_since_the_one_before(interrupted):
    trial, parts = interrupted
    newest = checkpoints(trial)[-1]
    newest.write_bytes(b"")
    assert trial.train(**parts | {"config": {}}).exit_code == Exit.DONE
    (warning,) = trial.of(events.Warned)
    assert newest.name in warning.message
    assert [event.observation.epoch for event in trial.of(events.Reported)] == [3, 4]


def test_the_best_weights_come_back_also_where_no_step_is_counted(trial):
    stopping = {"monitor": "loss", "restoreBest": True}
    trial.train(entrypoint="states:without_steps", stopping=stopping, max_epochs=5, workers=1)
    assert torch.load(trial.place.model, weights_only=True)["weight"].item() == 2
