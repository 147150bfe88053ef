"""The classes for scripts of one's own, without a Ray that runs: what Ray Tune would call is called here."""

from types import SimpleNamespace

import pytest

from trainjobs.api.manifest import parse_stopping
from trainjobs.api.pruning import Objective, Pruning
from trainjobs.exits import ConfigError
from trainjobs.stopping import Observation, Panel, replay
from trainjobs.stopping.across import judge
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.requests import FileControl
from trainjobs.sweeps.scheduling import CriteriaStopper, HaltFirst, PruningScheduler

SPEC = {
    "objective": {"metric": "loss"},
    "pruning": {"minTrials": 1, "startAfter": {"epoch": 0}, "criteria": [{"median": {}}]},
}
CURVES = {"a": [3, 2, 1, 0.5], "b": [3, 2.5, 0.9, 0.8], "c": [4, 1.5, 1.4, 1.3]}


def results(curves):
    """What trials report side by side, in turn."""
    for epoch in range(4):
        for name, values in curves.items():
            yield (
                SimpleNamespace(trial_id=name),
                {"epoch": epoch + 1, "loss": values[epoch], "training_iteration": 1},
            )


def test_the_scheduler_and_the_pure_rule_say_the_same_of_every_report():
    scheduler = PruningScheduler.of(SPEC)
    histories = {}
    for trial, result in results(CURVES):
        said = scheduler.on_trial_result(None, trial, result)
        seen = Observation(result["epoch"], result["epoch"], 0.0, {"loss": result["loss"]})
        histories.setdefault(trial.trial_id, []).append(seen)
        ruling = judge(
            trial.trial_id, histories, Objective(metric="loss"), Pruning.model_validate(SPEC["pruning"])
        )
        assert (said == "STOP") == (ruling.prune is not None)
        assert repr(scheduler.ruling) == repr(ruling)


def test_the_stopper_and_a_replay_stop_at_the_same_report():
    stopping = {"monitor": "loss", "criteria": [{"plateau": {"patience": 1, "minDelta": 0.4}}]}
    stopper = CriteriaStopper.of(stopping)
    stops = {}
    for trial, result in results(CURVES):
        if stopper(trial.trial_id, result):
            stops.setdefault(trial.trial_id, result["epoch"])
    for name, values in CURVES.items():
        history = [Observation(i, i, 0.0, {"loss": value}) for i, value in enumerate(values, 1)]
        at = replay(Panel.of(parse_stopping(stopping)), history).stopped_by
        assert stops.get(name) == (at.stop.epoch if at else None)
    assert stops
    assert stopper.reasons[next(iter(stops))].startswith("loss")


def test_a_stop_becomes_one_request_and_for_ray_the_trial_goes_on(tmp_path):
    directory = SweepDirectory(tmp_path)
    for name in CURVES:
        directory.run(name).create()
    scheduler = HaltFirst(PruningScheduler.of(SPEC), directory)
    curves = {"a": [1] * 4, "b": [2] * 4, "c": [3] * 4}
    said = {
        scheduler.on_trial_result(None, trial, {**result, "trial": trial.trial_id})
        for trial, result in results(curves)
    }
    assert said == {"CONTINUE"}
    request = FileControl(directory.run("b").path, tmp_path).take()
    assert (request.criterion, request.value) == ("median", 2.0)
    assert request.reason == "loss 2 at epoch 1 is worse than the median 1 of 1 other trial"
    assert FileControl(directory.run("a").path, tmp_path).take() is None


def test_others_are_compared_with_what_a_trial_reports_while_it_halts(tmp_path):
    directory = SweepDirectory(tmp_path)
    for name in CURVES:
        directory.run(name).create()
    inner = PruningScheduler.of(SPEC)
    scheduler = HaltFirst(inner, directory)
    curves = {"a": [1, 1, 1, 1], "b": [2, 2, 2, 0.1]}  # b is to stop at its first report
    for trial, result in results(curves):
        scheduler.on_trial_result(None, trial, {**result, "trial": trial.trial_id})
    scheduler.on_trial_result(None, SimpleNamespace(trial_id="c"), {"epoch": 4, "loss": 0.7, "trial": "c"})
    assert (
        inner.ruling.prune.verdict.reason
        == "loss 0.7 at epoch 4 is worse than the median 0.55 of 2 other trials"
    )


def test_a_trial_whose_slot_has_died_is_asked_again(tmp_path):
    directory = SweepDirectory(tmp_path)
    for name in CURVES:
        directory.run(name).create()
    scheduler = HaltFirst(PruningScheduler.of(SPEC), directory)
    for trial, result in results({"a": [1] * 4, "b": [2] * 4}):
        scheduler.on_trial_result(None, trial, {**result, "trial": trial.trial_id})
    control = FileControl(directory.run("b").path, tmp_path)
    asked = control.take()
    assert (asked.criterion, control.take()) == ("median", None)
    for name in CURVES:
        scheduler.on_trial_add(
            None, SimpleNamespace(trial_id=name)
        )  # as Ray Tune does for a trial that is to go on
    assert control.take() == asked
    assert FileControl(directory.run("a").path, tmp_path).take() is None


def test_criteria_that_go_by_the_length_of_a_trial_ask_for_it():
    stopping = {"monitor": "loss", "criteria": [{"auto": {}}]}
    with pytest.raises(ConfigError, match=r"CriteriaStopper\.of by max_epochs"):
        CriteriaStopper.of(stopping)
    with pytest.raises(ConfigError, match="max_epochs: 0: must be at least 1"):
        CriteriaStopper.of(stopping, max_epochs=0)
    stopper = CriteriaStopper.of(stopping, max_epochs=10)
    assert [stopper("a", {"epoch": e, "loss": 0.5}) for e in range(1, 25)].index(True) > 3
