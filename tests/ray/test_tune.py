"""The trials of a real sweep once more under Ray Tune itself, with our scheduler as anybody would use it."""

from types import SimpleNamespace

import pytest
from processes import ROOT
from ray import tune

from trainjobs.api.pruning import Objective, Pruning
from trainjobs.driver.ray_launcher import RayWorkers
from trainjobs.stopping.across import judge
from trainjobs.sweeps.driver import SETTINGS
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.requests import FileControl
from trainjobs.sweeps.scheduling import HaltFirst, PruningScheduler, observation

RECORDED = ROOT / "tests/data/sweeps/digits"
CRITERIA = [
    {"successiveHalving": {}},
    *(
        {**criterion, "shadow": True}
        for criterion in (
            {"median": {}},
            {"percentile": {"keep": 25}},
            {"hyperband": {"maxEpochs": 10}},
            {"wilcoxon": {}},
        )
    ),
]


def replayed():
    """A trainable that reports what a recorded trial reported; made here, so that actors need not find this module."""

    class Replayed(tune.Trainable):
        def setup(self, config):
            self.reset_config(config)

        def reset_config(self, new_config):
            self._name = new_config["trial"]
            self._left = iter(SweepDirectory(RECORDED).history(self._name)[0])
            return True

        def step(self):
            seen = next(self._left)
            told = {"trial": self._name, "epoch": seen.epoch, "step": seen.step, "seconds": seen.seconds}
            return {**told, **seen.metrics, "done": seen.epoch == 10}

    return Replayed


class Listening(PruningScheduler):
    """Notes each report and all that was said of it."""

    def __init__(self, objective, pruning):
        super().__init__(objective, pruning)
        self.heard = []

    def on_trial_result(self, tune_controller, trial, result):
        said = super().on_trial_result(tune_controller, trial, result)
        self.heard.append((result["trial"], dict(result), repr(self.ruling), said))
        return said


@pytest.fixture(scope="module")
def a_ray():
    with pytest.MonkeyPatch.context() as patch, RayWorkers(2):
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize(("metric", "mode"), [("val_loss", "min"), ("val_accuracy", "max")])
@pytest.mark.usefixtures("a_ray")
def test_in_whatever_order_tune_has_trials_report_the_rule_and_a_slot_say_the_same(metric, mode, tmp_path):
    objective, pruning = Objective(metric=metric, mode=mode), Pruning.model_validate({"criteria": CRITERIA})
    script = Listening(objective, pruning)
    tune.run(
        replayed(),
        config={"trial": tune.grid_search(list(SweepDirectory(RECORDED).trials()))},
        scheduler=script,
        reuse_actors=True,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        storage_path=str(tmp_path / "tune"),
        verbose=0,
    )
    sweep = SweepDirectory(tmp_path / "sweep")
    slot, histories, pruned = HaltFirst(PruningScheduler(objective, pruning), sweep), {}, 0
    for name, result, told, said in script.heard:
        histories[name] = (*histories.get(name, ()), observation(result))
        ruling = judge(name, histories, objective, pruning)
        assert repr(ruling) == told
        assert (said == "STOP") == (ruling.prune is not None)
        sweep.run(name).create()
        control = FileControl(sweep.run(name).path, sweep.path)
        slot.on_trial_result(None, SimpleNamespace(trial_id=name), result)
        asked = control.take()
        assert (asked and asked.reason) == (ruling.prune and ruling.prune.verdict.reason)
        pruned += said == "STOP"
    assert len(histories) == 12
    assert pruned
