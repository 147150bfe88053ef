import copy
from contextlib import suppress

import pytest
import yaml

from trainjobs.api.manifest import Manifest, SpecError

MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainSweep
metadata: {name: tiny}
spec:
  template: {spec: {trainer: {entrypoint: "train:train", maxEpochs: 10}}}
  parameters:
    lr: {logUniform: {min: 0.001, max: 0.1}}
  objective: {metric: val_loss}
  maxTrials: 8
"""


def read(tmp_path, **spec):
    document = yaml.safe_load(MANIFEST)
    document["spec"].update(spec)
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(document))
    return Manifest.read(path).sweep()


def test_the_smallest_sweep_has_defaults(tmp_path):
    spec = read(tmp_path).spec
    assert (spec.trials, spec.failures_borne, spec.keep, spec.seed) == (8, 3, "best", 0)
    assert (spec.pruning.min_trials, spec.pruning.start_after.epoch) == (2, 1)


def test_grids_alone_count_themselves(tmp_path):
    spec = read(tmp_path, maxTrials=None, parameters={"a": {"grid": [1, 2]}, "b": {"grid": [1, 2, 3]}}).spec
    assert spec.trials == 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"maxTrials": None}, "spec.maxTrials: is required: lr is no grid, so say how many trials"),
        (
            {"search": {"grid": {}}},
            "spec.parameters.lr: must be a grid or a choice under search.grid: list its values",
        ),
        (
            {"parameters": {"/spec.trainer.numNodes": {"grid": [1, 2]}}},
            "a slot has one size; set template.spec.trainer.numNodes",
        ),
        (
            {"parameters": {"/trainer.env": {"grid": [1]}}},
            "must begin with /spec. to name a field of the template",
        ),
        ({"parameters": {"a": {}}}, "must name exactly one of uniform, logUniform, integer, choice, grid"),
        (
            {"parameters": {"a": {"uniform": {"min": 2, "max": 1}}}},
            "spec.parameters.a.uniform.max: 1.0: must be more than min, which is 2.0",
        ),
        (
            {"parameters": {"a": {"uniform": {"min": 0, "max": 1, "step": 2}}}},
            "spec.parameters.a.uniform.step: 2.0: must be at most max - min, or 0.0 is the only value",
        ),
        (
            {"parameters": {"a": {"integer": {"min": 1, "max": 3, "step": 3}}}},
            "spec.parameters.a.integer.step: 3: must be at most max - min, or 1 is the only value",
        ),
        (
            {"pruning": {"criteria": [{"hyperband": {"minEpochs": 8, "maxEpochs": 2}}]}},
            "spec.pruning.criteria[0].hyperband.maxEpochs: 2: must be at least minEpochs, which is 8",
        ),
        (
            {"parameters": {"a": {"grid": [1]}, "b": {"grid": [1], "when": {"c": 1}}}},
            "spec.parameters.b.when.c: 1: must name another parameter: a",
        ),
        (
            {"parameters": {"a": {"grid": [1]}, "b": {"grid": [1], "when": {"a": 2}}}},
            "spec.parameters.b.when.a: 2: is none of its values, 1",
        ),
        ({"pruning": {"criteria": [{"median": {}, "percentile": {"keep": 5}}]}}, "must name exactly one of"),
        ({"pruning": {"criteria": [{"median": {}}, {"median": {}}]}}, "is there twice; keep one of them"),
        ({"objectiv": {}}, "objective"),
        (
            {
                "parallelTrials": 1000,
                "template": {"spec": {"trainer": {"entrypoint": "a:b", "maxEpochs": 1, "numNodes": 11}}},
            },
            "spec.parallelTrials: 1000: of 11 nodes each are more than 10000 pods",
        ),
    ],
)
def test_each_mistake_is_told_with_its_path_and_a_remedy(tmp_path, spec, message):
    with pytest.raises(SpecError) as raised:
        read(tmp_path, **spec)
    assert message in str(raised.value)


def test_a_file_without_a_sweep_says_what_it_must_hold(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\n")
    with pytest.raises(SpecError, match=r"must hold kind: TrainSweep of apiVersion: trainjobs\.dev/v1alpha1"):
        Manifest.read(path).sweep()


FULL = yaml.safe_load(MANIFEST)["spec"] | {
    "parameters": {
        "lr": {"logUniform": {"min": 0.001, "max": 0.1}},
        "width": {"choice": [1, 2], "when": {"lr": [0.01]}},
    },
    "search": {"optuna": {"sampler": "tpe"}},
    "pruning": {
        "startAfter": {"epoch": 2},
        "criteria": [{"median": {}}, {"percentile": {"keep": 20}, "shadow": True}],
    },
    "goal": 0.1,
    "budget": {"seconds": 60},
}
ODD = (None, "odd", -1, [], {}, {"odd": {}}, ["odd"], [{}], True)


def places(value, at=()):
    """Every field and item in a document, by its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*at, key)
        yield from places(below, (*at, key))


def spoiled(place, odd, misspelt):
    document = copy.deepcopy(FULL)
    around = document
    for key in place[:-1]:
        around = around[key]
    if misspelt and isinstance(around, dict):
        around["odd"] = around.pop(place[-1])
    else:
        around[place[-1]] = odd
    return document


def test_the_full_one_is_valid(tmp_path):
    assert read(tmp_path, **FULL).spec.goal == 0.1


@pytest.mark.parametrize("place", list(places(FULL)), ids=str)
def test_whatever_is_odd_is_a_problem_with_its_place_and_never_an_error(tmp_path, place):
    for odd, misspelt in ((None, True), *((odd, False) for odd in ODD)):
        with suppress(SpecError):
            read(tmp_path, **spoiled(place, odd, misspelt))
