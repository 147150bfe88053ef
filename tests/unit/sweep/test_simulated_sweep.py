"""The rules of tests/benchmarks/simulated_sweep.py on tables that can be followed by hand."""

import importlib.util
import sys
from pathlib import Path

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def program(name):
    """A benchmark as a module."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


simulated = program("simulated_sweep")
Recorded = simulated.Recorded

# Losses and test accuracies by epoch, seconds of an epoch.
A = Recorded("a", (3.0, 2.0, 1.0, 1.5), (0.1, 0.3, 0.5, 0.9), 1.0)
B = Recorded("b", (2.5, 2.4, 2.3, 2.2), (0.2, 0.3, 0.4, 0.6), 1.5)
C = Recorded("c", (0.5, 0.6, 0.7, 0.8), (0.4, 0.4, 0.4, 0.4), 1.0)


class Scripted(FIFOScheduler):
    """Says what it was told to say, and keeps all that it was told."""

    def __init__(self, script=None):
        super().__init__()
        self.script, self.told, self.most = script or {}, [], 0

    def on_trial_result(self, tune_controller, trial, result):
        running = [one for one in tune_controller.get_trials() if one.status == "RUNNING"]
        self.most = max(self.most, len(running))
        self.told.append((trial.trial_id, result["epoch"], result["loss"]))
        return self.script.get((trial.trial_id, result["epoch"]), self.CONTINUE)

    def on_trial_complete(self, tune_controller, trial, result):
        self.told.append((trial.trial_id, "complete", result["epoch"]))

    def on_trial_remove(self, tune_controller, trial):
        self.told.append((trial.trial_id, "removed"))


def play(scheduler, *trials, slots=2):
    return simulated.Sweep(scheduler, trials, "loss", slots).play()


def test_reports_come_by_the_clock_and_a_slot_that_is_free_gets_the_next_trial():
    scheduler = Scripted({("a", 2): "STOP"})
    assert play(scheduler, A, B, C) == {"a": 2, "b": 4, "c": 4}
    assert [one[:2] for one in scheduler.told] == [
        ("a", 1),  # at second 1
        ("b", 1),  # 1.5
        ("a", 2),  # 2: stopped
        ("a", "complete"),
        *(("b", 2), ("c", 1)),  # 3: the earlier trial first
        ("c", 2),
        ("b", 3),
        *(("c", 3), ("b", 4), ("b", "complete")),
        *(("c", 4), ("c", "complete")),
    ]
    assert scheduler.most == 2


def test_a_scheduler_is_told_of_every_epoch_once_and_of_none_that_was_not_trained():
    scheduler = Scripted({("a", 1): "PAUSE", ("b", 3): "STOP", ("c", 2): "PAUSE"})
    assert play(scheduler, A, B, C, slots=1) == {"a": 4, "b": 3, "c": 4}
    reports = [one for one in scheduler.told if one[1] not in ("complete", "removed")]
    assert len(reports) == len(set(reports)) == 11
    assert {(trial, epoch): loss for trial, epoch, loss in reports} == {
        (trial.name, epoch): trial.validation[epoch - 1]
        for trial, last in ((A, 4), (B, 3), (C, 4))
        for epoch in range(1, last + 1)
    }


def test_a_paused_trial_that_is_ended_trains_no_more():
    class Ends(Scripted):
        def on_trial_result(self, tune_controller, trial, result):
            for other in tune_controller.get_live_trials():
                if other.status == "PAUSED":
                    tune_controller.stop_trial(other)
            return super().on_trial_result(tune_controller, trial, result)

    scheduler = Ends({("a", 1): "PAUSE"})
    assert play(scheduler, A, B, slots=1) == {"a": 1, "b": 4}
    assert ("a", "removed") in scheduler.told


def test_trials_that_a_scheduler_never_ends_are_an_error():
    class Forgets(Scripted):
        def choose_trial_to_run(self, tune_controller):
            return next((one for one in tune_controller.get_trials() if one.status == "PENDING"), None)

    with pytest.raises(RuntimeError, match="1 trials are neither trained nor ended, a first"):
        play(Forgets({("a", 1): "PAUSE"}), A, B)


def test_rays_asha_stops_in_it_as_in_its_paper():
    """At rung 1 of factor 2 the second and worse one is stopped, the third and better one goes on."""
    asha = AsyncHyperBandScheduler(metric="loss", mode="min", max_t=4, reduction_factor=2)
    assert play(asha, B, A, C, slots=1) == {"b": 4, "a": 1, "c": 4}


@pytest.mark.parametrize(
    ("epochs", "regret", "compute"),
    [
        (
            {"a": 4, "b": 4, "c": 4},
            0.6 - 0.4,
            1.0,
        ),  # the loss chooses c at its first epoch: 0.4; b would have 0.6
        ({"a": 4, "b": 1, "c": 0}, 0.6 - 0.5, 5 / 12),  # a at its third epoch, not at its last
        ({"a": 2, "b": 4, "c": 0}, 0.6 - 0.3, 0.5),  # 2.0 of a beats 2.2 of b: its later 1.0 is not known
    ],
)
def test_the_chosen_trial_is_the_best_of_what_was_trained_against_the_best_of_all_in_full(
    epochs, regret, compute
):
    found = simulated.judged((A, B, C), epochs, -1)
    assert (found.regret, found.compute) == (pytest.approx(regret), pytest.approx(compute))


def test_nan_is_never_the_best_and_a_metric_may_be_maximised():
    diverged = Recorded("d", (float("nan"), 9.0, float("inf")), (0.7, 0.8, 0.9))
    assert [simulated.best(diverged, n, -1) for n in (1, 2, 3)] == [0, 1, 1]
    assert simulated.judged((A, diverged), {"a": 1, "d": 2}, 1).regret == pytest.approx(0)
