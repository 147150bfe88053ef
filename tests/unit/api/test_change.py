"""Which changes a started TrainJob refuses."""

import pytest

from manifests import flat as manifest
from trainjobs.api import MUTABLE, TrainJobSpec, changes, immutable_changes
from trainjobs.api.manifest import parse

CRITERION = {"plateau": {"patience": 3}}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({}, {}, []),
        ({}, {"trainer__numNodes": 1}, []),
        (
            {"trainer__maxEpochs": None, "trainer__maxSteps": 5},
            {"trainer__maxEpochs": None, "trainer__maxSteps": 6},
            ["spec.trainer.maxSteps"],
        ),
        ({}, {"checkpoint": {"everySteps": 9}}, ["spec.checkpoint.everySteps"]),
        ({"trainer__config": {"a": 1}}, {"trainer__config": {"a": 2}}, ["spec.trainer.config.a"]),
        ({"trainer__config": {"a": 1}}, {"trainer__config": {"a": True}}, ["spec.trainer.config.a"]),
        ({"trainer__config": {"a": None}}, {"trainer__config": {}}, ["spec.trainer.config.a"]),
        (
            {"trainer__config": {"a": [1, 2]}},
            {"trainer__config": {"a": [1, 3]}},
            ["spec.trainer.config.a[1]"],
        ),
        ({"trainer__config": {"a": [1]}}, {"trainer__config": {"a": [1, 3]}}, ["spec.trainer.config.a"]),
        (
            {"trainer__numNodes": 1},
            {"trainer__numNodes": 2, "backoffLimit": 1, "suspend": True},
            ["spec.trainer.numNodes", "spec.backoffLimit"],
        ),
        (
            {"trainer__resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}},
            {"trainer__resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}}},
            ['spec.trainer.resourcesPerNode.limits["nvidia.com/gpu"]'],
        ),
        (
            {},
            {
                "suspend": True,
                "stop": {"reason": "enough"},
                "stopping": {"monitor": "val_loss", "criteria": [CRITERION]},
                "ttlSecondsAfterFinished": 1,
                "startupDeadlineSeconds": 1,
                "activeDeadlineSeconds": 1,
                "progressDeadlineSeconds": 1,
            },
            [],
        ),
    ],
)
def test_what_may_not_change_after_the_start_is_found(old, new, changed):
    assert immutable_changes(parse(manifest(**old)).spec, parse(manifest(**new)).spec) == changed


def test_every_mutable_field_exists():
    assert {field.alias for field in TrainJobSpec.model_fields.values()} >= MUTABLE


def test_every_change_is_told_where_all_are_asked_for():
    old = parse(manifest(trainer__maxEpochs=5, stopping={"monitor": "a", "criteria": [CRITERION]}))
    new = parse(manifest(trainer__maxEpochs=9, stopping={"monitor": "a"}, suspend=True))
    assert changes(old.spec, new.spec) == ["spec.trainer.maxEpochs", "spec.stopping.criteria", "spec.suspend"]
    assert changes(old.spec, old.spec) == []
