"""Advice on sweeps: what is valid and probably not meant, and silence about the rest."""

import pytest
from sweep_manifests import sweep_manifest

from trainjobs.api.manifest import parse_sweep
from trainjobs.lint import advise_sweep

MEDIAN = [{"median": {}}]


def advice(**spec):
    return [
        (one.path.removeprefix("spec."), one.message)
        for one in advise_sweep(parse_sweep(sweep_manifest(**spec)))
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        {},
        {"pruning": {"criteria": [{"successiveHalving": {"minEpochs": 3}}]}},
        {"pruning": {"startAfter": {"epoch": 2}, "minTrials": 5, "criteria": MEDIAN}},
        {"pruning": {"startAfter": {"epoch": 50}, "minTrials": 50}},
        {
            "pruning": {"startAfter": {"epoch": 8}, "criteria": MEDIAN},
            "parameters": {"/spec.trainer.maxEpochs": {"grid": [10, 20]}},
        },
        {
            "trainer": {"maxEpochs": None, "maxSteps": 10},
            "pruning": {"startAfter": {"epoch": 8}, "criteria": MEDIAN},
        },
        {"objective": {"metric": "val_accuracy", "mode": "max"}},
        {"objective": {"metric": "reconstruction", "mode": "max"}},
        {"budget": {"seconds": 60}},
        {"budget": {"gpuSeconds": 60}, "trainer": {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}}},
    ],
    ids=str,
)
def test_nothing_is_said_of_what_may_well_be_meant(quiet):
    assert advice(**quiet) == []


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (
            {"objective": {"metric": "val_accuracy"}},
            "objective.mode",
            "is min, so the worst trial is called the best",
        ),
        (
            {"objective": {"metric": "train_loss"}},
            "objective.metric",
            "train_loss looks like a training metric",
        ),
        (
            {"objective": {"metric": "test_loss"}},
            "objective.metric",
            "test_loss looks like a metric of the test set",
        ),
        (
            {"pruning": {"minTrials": 6, "criteria": MEDIAN}},
            "pruning.minTrials",
            "is 6, and each of the 6 trials has 5 others, so nothing is pruned: lower it, or raise maxTrials",
        ),
        (
            {"pruning": {"startAfter": {"epoch": 3}, "criteria": MEDIAN}},
            "pruning.startAfter.epoch",
            "is 3, and maxEpochs is 4, so nothing is spared: lower it",
        ),
        (
            {"pruning": {"criteria": [*MEDIAN, {"successiveHalving": {"minEpochs": 4}}]}},
            "pruning.criteria[1].successiveHalving.minEpochs",
            "is 4, and maxEpochs is 4, so no trial is spared an epoch: lower it",
        ),
        ({"budget": {"gpuSeconds": 60}}, "budget.gpuSeconds", "is never used up, since a trial has no GPU"),
        (
            {"stop": {"reason": "enough"}},
            "stop",
            "is set, so in a cluster the sweep completes as soon as it starts",
        ),
        ({"suspend": True}, "suspend", "is true, so in a cluster nothing runs until it is set to false"),
        (
            {"template": {"stopping": {"monitor": "val_loss", "criteria": [{"plateau": {"patience": 9}}]}}},
            "template.spec.stopping.criteria[0].plateau.patience",
            "plateau cannot stop the run before epoch",
        ),
    ],
)
def test_what_is_probably_not_meant_is_said(spec, path, message):
    ((found, said),) = advice(**spec)
    assert (found, message in said) == (path, True), said


def test_of_what_a_parameter_changes_nothing_is_said():
    patience = {"/spec.stopping.criteria[0].plateau.patience": {"choice": [1, 2]}}
    stopping = {"monitor": "val_loss", "criteria": [{"plateau": {"patience": 9}}]}
    assert advice(template={"stopping": stopping}, parameters=patience) == []
