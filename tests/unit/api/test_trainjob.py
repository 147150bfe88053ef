"""The fields of a TrainJob: defaults, bounds, unions, forms, rules between fields."""

import math
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

import trainjobs.api
from manifests import flat as manifest
from trainjobs.api import TrainJob
from trainjobs.api.manifest import SpecError, parse
from trainjobs.api.metadata import JobName

CRITERION = {"plateau": {"patience": 3}}


def problems(document) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(document)
    return [str(problem) for problem in caught.value.problems]


def models(root: type[BaseModel], seen: set | None = None) -> Iterator[type[BaseModel]]:
    """A model and every model that its fields can hold."""
    seen = set() if seen is None else seen
    if root in seen:
        return
    seen.add(root)
    yield root
    waiting = [field.annotation for field in root.model_fields.values()]
    while waiting:
        part = waiting.pop()
        waiting.extend(get_args(part))
        if isinstance(part, type) and get_origin(part) is None and issubclass(part, BaseModel):
            yield from models(part, seen)


def test_only_entrypoint_and_epochs_are_required():
    job = parse(manifest())
    assert (job.spec.trainer.entrypoint, job.spec.trainer.max_epochs) == ("train:train", 100)
    assert (job.spec.trainer.num_nodes, job.spec.trainer.num_proc_per_node) == (1, 1)
    assert (job.spec.checkpoint.every_epochs, job.spec.checkpoint.keep) == (1, 2)
    assert job.spec.stopping.criteria == ()
    assert (job.spec.suspend, job.spec.stop, job.spec.backoff_limit) == (False, None, 3)
    assert (job.spec.startup_deadline_seconds, job.spec.progress_deadline_seconds) == (1800, 1800)
    assert (job.spec.active_deadline_seconds, job.spec.ttl_seconds_after_finished) == (None, None)


def test_every_field_of_the_design_is_accepted():
    job = parse(
        manifest(
            trainer__config={"hidden": 128, "layers": [1, {"a": None}]},
            trainer__image="registry.example/train:1.2",
            trainer__env=[
                {"name": "A", "value": "1"},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}},
            ],
            trainer__resourcesPerNode={
                "limits": {"nvidia.com/gpu": 4, "memory": "8Gi"},
                "requests": {"cpu": "500m"},
            },
            trainer__code={"configMap": "mnist-code"},
            trainer__numNodes=2,
            trainer__numProcPerNode=4,
            stopping={
                "monitor": "val_loss",
                "startAfter": {"epoch": 3},
                "criteria": [CRITERION],
                "restoreBest": True,
            },
            checkpoint={"storage": {"claimName": "checkpoints"}, "everyEpochs": 2, "keep": 5},
            podTemplate={"metadata": {"labels": {"team": "a"}}, "spec": {"nodeSelector": {"disk": "ssd"}}},
            suspend=True,
            stop={"reason": "good enough"},
            backoffLimit=0,
            startupDeadlineSeconds=60,
            activeDeadlineSeconds=86400,
            progressDeadlineSeconds=600,
            ttlSecondsAfterFinished=0,
        )
    )
    assert job.spec.trainer.num_workers == 8
    assert job.spec.trainer.resources_per_node.limits == {"nvidia.com/gpu": "4", "memory": "8Gi"}
    assert job.spec.pod_template.spec == {"nodeSelector": {"disk": "ssd"}}


def test_a_trainjob_may_have_any_number_of_labels():
    """Anybody who may edit it puts them on while it trains, and then its pods have to read it."""
    labels = {f"a{n}": "x" for n in range(5000)}
    assert parse(manifest(metadata={"name": "mnist", "labels": labels})).metadata.labels == labels


def test_what_the_api_server_notes_of_fields_may_nest_deeper_than_they_do():
    levels = reduce(lambda below, _: {"a": below}, range(60), {})
    document = manifest(trainer__config=levels)
    noted = reduce(lambda below, _: {"f:a": below}, range(60), {})
    fields = {"f:spec": {"f:trainer": {"f:config": noted}}}
    document["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": fields}]
    assert parse(document).spec.trainer.config == levels


def test_an_object_from_the_api_server_is_accepted():
    document = manifest()
    document["metadata"] |= {
        "namespace": "team-a",
        "uid": "6f1c",
        "generation": 1,
        "resourceVersion": "42",
        "creationTimestamp": "2026-11-21T10:00:00Z",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "ownerReferences": [{"kind": "TrainSweep", "name": "s"}],
    }
    assert parse(document).metadata.uid == "6f1c"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"trainer__maxEpochs": 0}, "spec.trainer.maxEpochs: 0: must be at least 1"),
        ({"trainer__maxSteps": 0}, "spec.trainer.maxSteps: 0: must be at least 1"),
        (
            {"trainer__maxSteps": 10**12 + 1},
            "spec.trainer.maxSteps: 1000000000001: must be at most 1000000000000",
        ),
        ({"checkpoint": {"everySteps": 0}}, "spec.checkpoint.everySteps: 0: must be at least 1"),
        ({"trainer__numNodes": 0}, "spec.trainer.numNodes: 0: must be at least 1"),
        ({"trainer__numNodes": 10_001}, "spec.trainer.numNodes: 10001: must be at most 10000"),
        ({"trainer__numProcPerNode": 257}, "spec.trainer.numProcPerNode: 257: must be at most 256"),
        ({"backoffLimit": -1}, "spec.backoffLimit: -1: must be at least 0"),
        ({"startupDeadlineSeconds": 0}, "spec.startupDeadlineSeconds: 0: must be at least 1"),
        (
            {"activeDeadlineSeconds": 2**31},
            "spec.activeDeadlineSeconds: 2147483648: must be at most 2147483647",
        ),
        ({"checkpoint": {"everyEpochs": 0}}, "spec.checkpoint.everyEpochs: 0: must be at least 1"),
        ({"checkpoint": {"keep": 0}}, "spec.checkpoint.keep: 0: must be at least 1"),
        (
            {"trainer__env": [{"name": f"A{i}"} for i in range(129)]},
            "spec.trainer.env: must have at most 128 items, has 129",
        ),
        (
            {"stopping": {"monitor": "a", "criteria": [CRITERION] * 17}},
            "spec.stopping.criteria: must have at most 16 items, has 17",
        ),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_bound(spec, expected):
    assert problems(manifest(**spec)) == [expected]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"trainer__maxEpochs": True},
            "spec.trainer.maxEpochs: true: must be a whole number, not true or false",
        ),
        (
            {"trainer__maxEpochs": "5"},
            'spec.trainer.maxEpochs: "5": must be a whole number, not text: remove the quotes',
        ),
        ({"trainer__maxEpochs": "five"}, 'spec.trainer.maxEpochs: "five": must be a whole number'),
        ({"trainer__maxEpochs": 5.0}, "spec.trainer.maxEpochs: 5.0: must be a whole number: write 5"),
        ({"trainer__maxEpochs": 5.5}, "spec.trainer.maxEpochs: 5.5: must be a whole number"),
        ({"suspend": "true"}, 'spec.suspend: "true": must be true or false'),
        ({"suspend": 1}, "spec.suspend: 1: must be true or false"),
        (
            {"trainer__env": [{"name": "A", "value": 1}]},
            "spec.trainer.env[0].value: 1: must be text: put it in quotes",
        ),
        ({"trainer__env": {"A": "1"}}, 'spec.trainer.env: {"A": "1"}: must be a list: begin each item with'),
        ({"checkpoint": 5}, "spec.checkpoint: 5: must be a mapping of fields"),
        (
            {"checkpoint": None},
            "spec.checkpoint: is empty: it must be a mapping of fields; or leave the field out",
        ),
        (
            {"trainer__config": {"data": "x" * 262_144}},
            "spec.trainer.config: must have at most 262,144 characters as JSON, has 262,156: keep data in files",
        ),
        ({"trainer__config": [1]}, "spec.trainer.config: [1]: must be a mapping of names to values"),
        ({"trainer__config": {"a": float("nan")}}, "spec.trainer.config.a: NaN: must be a finite number"),
        (
            {"trainer__config": {"a": [{"b": math.inf}]}},
            "spec.trainer.config.a[0].b: Infinity: must be a finite",
        ),
        ({"trainer__config": {"a": [{1, 2}]}}, 'spec.trainer.config.a[0]: "{1, 2}": must be text, a number'),
        ({"trainer__config": {"a": {"b": {1: 2}}}}, "spec.trainer.config.a.b.1: a field's name must be text"),
        (
            {"trainer__config": {"a": 2**64}},
            "spec.trainer.config.a: 18446744073709551616: must fit in 64 bits",
        ),
        ({"trainer__config": {1: 2}}, "spec.trainer.config.1: a field's name must be text"),
        (
            {"trainer__config": {"a": {1, 2}}},
            'spec.trainer.config.a: "{1, 2}": must be text, a number, true, false',
        ),
        (
            {"stopping": {"monitor": "a", "criteria": [{"threshold": {"value": float("inf")}}]}},
            "spec.stopping.criteria[0].threshold.value: Infinity: must be a finite number",
        ),
        (
            {"stopping": {"monitor": "a", "criteria": [{"plateau": {"patience": 1, "minDelta": False}}]}},
            "spec.stopping.criteria[0].plateau.minDelta: false: must be a number, not true or false",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_converted(spec, expected):
    found = problems(manifest(**spec))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_every_number_and_boolean_of_the_types_is_strict():
    waiting, seen, lax = [TrainJob.__pydantic_core_schema__], 0, []
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and "pydantic_internal_union_tag_key" in part.get("metadata", {}):
            continue  # free-form values, which keep the type that they have
        if isinstance(part, dict) and part.get("type") in ("int", "float", "bool"):
            seen += 1
            lax += [] if part.get("strict") else [part]
        elif isinstance(part, dict | list | tuple):
            waiting.extend(part.values() if isinstance(part, dict) else part)
    assert seen > 20
    assert lax == []


def test_every_model_and_every_field_is_documented():
    found = list(models(TrainJob))
    assert len(found) > 20
    for model in found:
        generic = model.__pydantic_generic_metadata__["origin"]
        assert (generic or model).__doc__, model
        undocumented = [name for name, field in model.model_fields.items() if not field.description]
        assert undocumented == [], model


def test_every_list_of_mappings_is_bounded():
    """A Kubernetes API server refuses a schema whose rules could run over endless lists."""
    unbounded = [
        (model.__name__, name)
        for model in models(TrainJob)
        for name, field in model.model_json_schema(by_alias=True).get("properties", {}).items()
        for part in (field, *field.get("anyOf", ()))
        if "$ref" in part.get("items", {}) and "maxItems" not in part and "JsonValue" not in str(part)
    ]
    assert unbounded == []


@pytest.mark.parametrize("name", ["mnist", "m", "mnist-2", "a" * 52])
def test_a_name_that_fits_pods_and_services_is_accepted(name):
    assert parse(manifest() | {"metadata": {"name": name}}).metadata.name == name


@pytest.mark.parametrize("name", ["", "Mnist", "mnist_2", "-a", "a-", "2-mnist", "a.b", "mnist\n", "é"])
def test_a_name_that_no_service_can_have_is_refused(name):
    assert "must be lower-case letters" in problems(manifest() | {"metadata": {"name": name}})[0]


def test_the_longest_name_leaves_room_for_index_and_suffix_of_the_last_pod():
    longest = TypeAdapter(JobName).json_schema()["maxLength"]
    last_index = 10_000 - 1
    assert len(f"{'a' * longest}-{last_index}-abcde") == 63
    found = problems(manifest() | {"metadata": {"name": "a" * (longest + 1)}})
    assert found == [f'metadata.name: "{"a" * 53}": must have at most 52 characters']


@pytest.mark.parametrize("entrypoint", ["train:train", "package.module:main", "_a.b2:_c"])
def test_an_entrypoint_names_module_and_function(entrypoint):
    assert parse(manifest(trainer__entrypoint=entrypoint)).spec.trainer.entrypoint == entrypoint


@pytest.mark.parametrize(
    "entrypoint",
    ["train", "train.py", "train:", ":train", "a/b:c", "a:b:c", "a..b:c", "2a:b", "a:b.c", "a:b ", "a:ü"],
)
def test_another_entrypoint_is_refused_with_an_example(entrypoint):
    found = problems(manifest(trainer__entrypoint=entrypoint))
    assert found[0].endswith(
        "must be module:function, such as train:train for the function train in train.py"
    )


@pytest.mark.parametrize(
    ("limits", "nodes", "expected"),
    [
        ({}, 4, 0),
        ({"cpu": 8}, 4, 0),
        ({"nvidia.com/gpu": 2, "cpu": 8}, 4, 8),
        ({"amd.com/gpu": "1"}, 1, 1),
        ({"nvidia.com/gpu": "0"}, 1, 0),
    ],
)
def test_gpus_of_all_makers_and_all_nodes_are_counted(limits, nodes, expected):
    job = parse(manifest(trainer__numNodes=nodes, trainer__resourcesPerNode={"limits": limits}))
    assert job.spec.trainer.num_gpus == expected


@pytest.mark.parametrize("quantity", [1, 0, "1", "0.5", "500m", "2Gi", "1e3", "1.5G"])
def test_a_quantity_is_a_whole_number_or_text(quantity):
    job = parse(manifest(trainer__resourcesPerNode={"limits": {"cpu": quantity}}))
    assert job.spec.trainer.resources_per_node.limits["cpu"] == str(quantity)


@pytest.mark.parametrize(
    ("quantity", "rule"),
    [
        ("2 Gi", "must be a quantity"),
        ("lots", "must be a quantity"),
        ("", "must be a quantity"),
        (0.5, "must be text: put it in quotes"),
        (True, "must be text: put it in quotes"),
    ],
)
def test_another_quantity_is_refused(quantity, rule):
    assert rule in problems(manifest(trainer__resourcesPerNode={"limits": {"cpu": quantity}}))[0]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"checkpoint": {"storage": {}}},
            "spec.checkpoint.storage: must name exactly one of claimName, uri; got none",
        ),
        (
            {"checkpoint": {"storage": {"claimName": "a", "uri": "/b"}}},
            "spec.checkpoint.storage: must name exactly one of claimName, uri; got claimName and uri",
        ),
        (
            {"trainer__env": [{"name": "A", "value": "1", "valueFrom": {}}]},
            "spec.trainer.env[0]: must name at most one of value, valueFrom; got value and valueFrom",
        ),
        (
            {"trainer__env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]},
            'spec.trainer.env[2].name: "A": is also the name of env[0]; keep one of them',
        ),
        (
            {"trainer__numProcPerNode": 4, "trainer__resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}}},
            "spec.trainer.numProcPerNode: 4: must be at most the GPUs of a node in resourcesPerNode.limits, "
            "which are 2",
        ),
        (
            {"stopping": {"minEpochs": 101}},
            "spec.stopping.minEpochs: 101: must be at most trainer.maxEpochs, which is 100",
        ),
        (
            {"trainer__maxSteps": 5},
            "spec.trainer: must name exactly one of maxEpochs, maxSteps; got maxEpochs and maxSteps",
        ),
        (
            {"trainer__maxEpochs": None},
            "spec.trainer: must name exactly one of maxEpochs, maxSteps; got none; "
            "maxEpochs is empty: write its value, or indent its fields below it",
        ),
        (
            {"trainer__maxEpochs": None, "trainer__maxSteps": 50, "stopping": {"minSteps": 51}},
            "spec.stopping.minSteps: 51: must be at most trainer.maxSteps, which is 50",
        ),
        (
            {"stopping": {"restoreBest": True}},
            "spec.stopping.monitor: must name the metric whose best model restoreBest restores",
        ),
    ],
)
def test_a_rule_between_fields_points_at_the_field_to_change(spec, expected):
    assert problems(manifest(**spec)) == [expected]


@pytest.mark.parametrize(
    ("trainer", "stopping"),
    [
        ({"trainer__maxEpochs": None, "trainer__maxSteps": 50}, {"minEpochs": 51}),
        ({}, {"minSteps": 5000}),
    ],
)
def test_a_minimum_in_the_other_unit_than_the_length_may_be_anything(trainer, stopping):
    assert parse(manifest(**trainer, stopping=stopping)).spec.stopping.names == ()


def test_a_length_is_in_the_unit_that_the_manifest_names():
    epochs = parse(manifest()).spec.trainer.length
    steps = parse(manifest(trainer__maxEpochs=None, trainer__maxSteps=10**12)).spec.trainer.length
    assert (epochs.amount, epochs.unit, epochs.field, epochs.baseline) == (
        100,
        "epoch",
        "maxEpochs",
        "MaxEpochs",
    )
    assert (steps.amount, steps.unit, steps.field, steps.baseline) == (10**12, "step", "maxSteps", "MaxSteps")


@pytest.mark.parametrize("uri", ["s3://bucket/runs", "file:///runs", "/runs", "gs://b"])
def test_storage_may_be_a_uri(uri):
    assert parse(manifest(checkpoint={"storage": {"uri": uri}})).spec.checkpoint.storage.uri == uri


def test_a_relative_path_is_no_storage():
    assert (
        "must be a URI or an absolute path" in problems(manifest(checkpoint={"storage": {"uri": "runs"}}))[0]
    )


def test_the_exported_names_exist():
    assert [name for name in trainjobs.api.__all__ if not hasattr(trainjobs.api, name)] == []
    assert sorted(trainjobs.api.__all__) == sorted(set(trainjobs.api.__all__))


def test_importing_the_types_loads_no_framework():
    frameworks = {"torch", "ray", "kubernetes", "numpy"}
    code = f"import sys, trainjobs.api; print(*{frameworks} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
