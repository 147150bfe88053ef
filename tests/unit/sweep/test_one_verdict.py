"""One spec, one verdict: of every recorded run, by every criterion, wherever it is judged, report for report."""

import gzip
import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import yaml

from trainjobs.api import Length
from trainjobs.api.manifest import parse_stopping
from trainjobs.api.pruning import Objective, Pruning, PruningCriterion
from trainjobs.api.stopping import Single
from trainjobs.coordination.evaluation import Evaluator
from trainjobs.coordination.messages import Arrive, Gathered
from trainjobs.stopping import MissingMetric, Observation, Panel, replay
from trainjobs.stopping.across import judge
from trainjobs.stopping.across.replay import Pruned
from trainjobs.stopping.across.replay import replay as replay_trials
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.requests import FileControl
from trainjobs.sweeps.scheduling import CriteriaStopper, HaltFirst, PruningScheduler

DATA = Path(__file__).parents[2] / "data"
RECORDED = DATA / "curves/curves.jsonl.gz"
EPOCHS = 50
"""Of each run; the recorded ones are longer."""
SIDE_BY_SIDE_EPOCHS, TRIALS = 30, 12
"""Of a sweep."""


@pytest.fixture(scope="module")
def runs():
    """Task and history of every recorded run."""
    lines = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()
    return [(run["task"], tuple(history(run["curves"]))) for run in map(json.loads, lines)]


def history(curves):
    for epoch, values in enumerate(zip(*curves.values(), strict=True), 1):
        if epoch <= EPOCHS:
            yield Observation(epoch, 10 * epoch, 100.0 * epoch, dict(zip(curves, values, strict=True)))


def examples(model, leave_out):
    """Each family with the parameters that its own documentation shows."""
    for name, field in model.model_fields.items():
        kinds = [kind for kind in get_args(field.annotation) if hasattr(kind, "example")]
        if kinds and name not in leave_out:
            yield field.alias or name, yaml.safe_load(kinds[0].example)


WITHIN = dict(examples(Single, {"start_after", "custom", "evidence", "gradient_disparity"}))
"""Of those that judge metrics: gradients were not recorded."""
ACROSS = dict(examples(PruningCriterion, set()))


@pytest.mark.parametrize("family", WITHIN)
def test_within_a_trial_ranks_a_script_and_a_replay_stop_at_the_same_report(runs, family):
    stopping = {"monitor": "val_loss", "criteria": [{family: WITHIN[family]}]}
    panel = Panel.of(parse_stopping(stopping), Length.of(EPOCHS, None))
    stopper = CriteriaStopper.of(stopping, EPOCHS)
    stops = 0
    for index, (_, seen) in enumerate(runs):
        by_replay = said(of_replay, panel, seen)
        assert said(of_ranks, panel, seen) == by_replay
        assert said(of_script, stopper, str(index), seen) == by_replay
        stops += by_replay is not None
    assert stops or family == "nonFinite"  # none was recorded


def said(by, *args):
    """The epoch and the reason of a stop, None without one, or which metric is missing."""
    try:
        return by(*args)
    except MissingMetric as error:
        return str(error).partition(";")[0]


def of_replay(panel, seen):
    again = replay(panel, seen)
    return (again.stopped_by.stop.epoch, again.stopped_by.stop.reason) if again.stopped_by else None


def of_ranks(panel, seen):
    """As rank 0 of two ranks judges what both bring."""
    evaluator = Evaluator(panel, (), lambda: 0.0)
    for each in seen:
        metrics = {name: (value, 1.0) for name, value in each.metrics.items()}
        report = {**each.to_dict(), "metrics": metrics, "whole": True, "without data": False}
        decision = evaluator.rule(Gathered(0, (Arrive(0, "report", report),) * 2), each.step).decision
        if evaluator.error is not None:
            raise evaluator.error
        if decision is not None:
            return each.epoch, decision.reason
    return None


def of_script(stopper, trial, seen):
    """As a script of one's own has Ray Tune ask."""
    for each in seen:
        if stopper(trial, result(each)):
            return each.epoch, stopper.reasons[trial]
    return None


def result(seen):
    return {
        **seen.metrics,
        "epoch": seen.epoch,
        "step": seen.step,
        "seconds": seen.seconds,
        "training_iteration": 1,
    }


@pytest.mark.parametrize("family", ACROSS)
def test_across_trials_a_sweep_a_script_and_the_rule_prune_at_the_same_report(runs, family, tmp_path):
    """Trials of a task side by side, each report put to all three; the sweep's verdict is what it asks of the trial."""
    prunes = {}
    for number, (objective, trials) in enumerate(sweeps(runs)):
        spec = spec_of(objective, family)
        pruning = Pruning.model_validate(spec["pruning"])
        directory = SweepDirectory(tmp_path / str(number))
        controls = {name: control(directory, name) for name in trials}
        script, sweep = PruningScheduler.of(spec), HaltFirst(PruningScheduler(objective, pruning), directory)
        histories, left = {}, dict(trials)
        for epoch in epochs_of(trials):
            for name in tuple(left):
                seen = trials[name][epoch]
                histories[name] = (*histories.get(name, ()), seen)
                ruling = judge(name, histories, objective, pruning)
                told = {**result(seen), "trial": name}
                trial = SimpleNamespace(trial_id=f"tune-{name}")
                assert (script.on_trial_result(None, trial, told) == "STOP") == (ruling.prune is not None)
                assert repr(script.ruling) == repr(ruling)
                assert sweep.on_trial_result(None, trial, told) == "CONTINUE"
                asked = controls[name].take()
                assert (asked and asked.reason) == (ruling.prune and ruling.prune.verdict.reason)
                if ruling.prune is not None:
                    prunes[objective.metric] = prunes.get(objective.metric, 0) + 1
                    del left[name]
    assert set(prunes) == {"val_loss", "val_accuracy"}


@pytest.mark.parametrize("family", ACROSS)
def test_a_replay_prunes_the_trials_that_a_script_prunes_whose_trials_report_together(runs, family):
    for objective, trials in sweeps(runs):
        spec = spec_of(objective, family)
        script, left, pruned = PruningScheduler.of(spec), dict(trials), []
        for epoch in epochs_of(trials):
            told = {name: {**result(trials[name][epoch]), "trial": name} for name in left}
            running = {name: SimpleNamespace(trial_id=name) for name in left}
            for name, each in told.items():
                script.note(running[name], each)
            for name, each in told.items():
                if script.on_trial_result(None, running[name], each) == "STOP":
                    found = script.ruling.prune
                    pruned.append(Pruned(name, each["epoch"], found.name, found.verdict.reason))
                    del left[name]
        recorded = {name: seen[: len(epochs_of(trials))] for name, seen in trials.items()}
        again = replay_trials(recorded, objective, Pruning.model_validate(spec["pruning"]))
        assert list(again.pruned) == pruned


def spec_of(objective, family):
    return {
        "objective": objective.model_dump(mode="json"),
        "pruning": {"criteria": [{family: ACROSS[family]}]},
    }


def epochs_of(trials):
    return range(min(SIDE_BY_SIDE_EPOCHS, *(len(seen) for seen in trials.values())))


def sweeps(runs):
    """Objectives, and trials by name: of one task each as many recorded runs as a sweep might have, and the trials of
    a real sweep, by their loss and by an accuracy that often ties."""
    by_task = groupby(sorted(runs, key=itemgetter(0)), itemgetter(0))
    for _, found in by_task:
        for some in batched([seen for _, seen in found]):
            yield Objective(metric="val_loss"), {f"{number:04}": seen for number, seen in enumerate(some, 1)}
    real = SweepDirectory(DATA / "sweeps/digits")
    trials = {name: real.history(name)[0] for name in real.trials()}
    yield Objective(metric="val_loss"), trials
    yield Objective(metric="val_accuracy", mode="max"), trials


def batched(items):
    return [items[at : at + TRIALS] for at in range(0, len(items), TRIALS)]


def control(directory, name):
    directory.run(name).create()
    return FileControl(directory.run(name).path, directory.path)
