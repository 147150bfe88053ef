"""A search by a model: what Optuna proposes is a parameter's value, and what trials have shown is used, also after a
resume."""

import math
import sys
from dataclasses import replace

import pytest

from trainjobs.exits import ConfigError, DataError
from trainjobs.sweeps.record import Trial, TrialState, name_of
from trainjobs.sweeps.searching import SweepSearch, source_of
from trainjobs.sweeps.space import problems

STARTUP = 8


@pytest.fixture
def sweep_of(sweep):
    def make(parameters, *, sampler="tpe", mode="min"):
        return sweep(
            parameters,
            maxTrials=100,
            search={"optuna": {"sampler": sampler, "startupTrials": STARTUP}},
            objective={"metric": "val_loss", "mode": mode},
        )

    return make


def played(source, trials, objective, first=1):
    """So many trials, one after the other."""
    found = []
    for number in range(first, first + trials):
        parameters, by = source.propose(number)
        trial = Trial(name_of(number), parameters, by, TrialState.FINISHED, 3, objective(parameters))
        source.ended(trial)
        found.append(trial)
    return found


def distance(parameters):
    return abs(parameters["x"] - 0.3)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_it_searches_where_earlier_trials_were_good(sweep_of, sampler):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}, sampler=sampler).spec
    found = played(source_of(spec), 40, distance)
    assert [trial.proposed for trial in found] == ["random"] * STARTUP + [sampler] * (40 - STARTUP)
    assert sum(trial.objective for trial in found[-20:]) / 20 < 0.2  # at random it is 0.29


def test_a_resume_knows_what_was_learnt(sweep_of):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}).spec
    found = played(source_of(spec), 40, distance)
    again = source_of(spec)
    for trial in found:
        again.ended(trial)
    more = played(again, 20, distance, first=41)
    assert {trial.proposed for trial in more} == {"tpe"}
    assert sum(trial.objective for trial in more) / 20 < 0.2


def test_no_trial_waits_for_another_to_end(sweep_of):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}).spec
    source = source_of(spec)
    known = played(source, STARTUP, distance)
    search = SweepSearch(spec, source, [], len(known), known.append, lambda: False)
    under_way = [search.suggest(str(number))["trial"] for number in range(8)]
    assert under_way == [name_of(STARTUP + number) for number in range(1, 9)]
    assert {trial.proposed for trial in known[STARTUP:]} == {"tpe"}


def test_a_greater_objective_is_better_where_the_manifest_says_so(sweep_of):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}, mode="max").spec
    found = played(source_of(spec), 40, lambda parameters: parameters["x"])
    assert sum(trial.objective for trial in found[-20:]) / 20 > 0.7


def test_what_failed_or_has_no_finite_objective_teaches_nothing(sweep_of):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}).spec
    source = source_of(spec)
    for number in range(1, 2 * STARTUP):
        parameters, by = source.propose(number)
        assert by == "random"
        trial = Trial(name_of(number), parameters, by, TrialState.FINISHED, 3, math.nan)
        source.ended(trial if number % 2 else replace(trial, state=TrialState.FAILED, objective=0.1))


def test_values_are_those_that_the_manifest_lists(sweep_of):
    listed = sweep_of(
        {
            "layers": {"choice": [[8, 8], [16], "none", None]},
            "size": {"integer": {"min": 1, "max": 9, "step": 3}},
            "momentum": {"uniform": {"min": 0.0, "max": 1.0, "step": 0.3}},
            "rate": {"logUniform": {"min": 1e-4, "max": 1e-1}},
            "beta": {"uniform": {"min": 0.8, "max": 0.99}, "when": {"optimizer": "adam"}},
            "optimizer": {"choice": ["sgd", "adam"]},
        }
    )
    assert problems(listed) == []
    source = source_of(listed.spec)
    found = [trial.parameters for trial in played(source, 40, lambda parameters: parameters["rate"])]
    assert {str(values["layers"]) for values in found} == {"[8, 8]", "[16]", "none", "None"}
    assert {values["size"] for values in found} == {1, 4, 7}
    assert {values["momentum"] for values in found} <= {0.0, 0.3, 0.6, 0.9}
    assert all(1e-4 <= values["rate"] <= 1e-1 for values in found)
    assert all(("beta" in values) == (values["optimizer"] == "adam") for values in found)
    again = source_of(listed.spec)
    for number, values in enumerate(found, start=1):
        again.ended(Trial(name_of(number), values, "tpe", TrialState.PRUNED, 2, values["rate"]))
    assert again.propose(41)[1] == "tpe"


@pytest.mark.parametrize("parameters", [{"x": 7.0}, {"x": "7"}, {"x": None}, {"y": 0.5}, {"x": 0.5, "z": 3}])
def test_parameters_that_somebody_has_changed_are_named(sweep_of, parameters):
    spec = sweep_of({"x": {"uniform": {"min": 0, "max": 1}}, "z": {"choice": [1, 2]}}).spec
    with pytest.raises(DataError, match=r"trials\.jsonl: trial 0001: no parameters of this sweep"):
        source_of(spec).ended(Trial("0001", parameters, "random", TrialState.FINISHED, 3, 0.1))


def test_without_optuna_the_error_says_what_to_install(sweep_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"spec.search.optuna: .*pip install 'trainjobs\[sweep\]'"):
        source_of(sweep_of({"x": {"uniform": {"min": 0, "max": 1}}}).spec)
