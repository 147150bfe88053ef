"""`--set PATH=VALUE`: what it changes, and errors that name it."""

import pytest

from trainjobs.api import Stopping
from trainjobs.api.manifest import load


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("spec.trainer.maxEpochs=5", ("trainer", "max_epochs"), 5),
        ("spec.trainer.config.learningRate=1e-4", ("trainer", "config"), {"learningRate": 1e-4}),
        ("spec.trainer.config={a: [1, b]}", ("trainer", "config"), {"a": [1, "b"]}),
        ("spec.trainer.config.note=a=b", ("trainer", "config"), {"learningRate": 1e-3, "note": "a=b"}),
        (
            "spec.stopping.criteria[0].plateau.patience=7",
            ("stopping", "criteria", 0, "plateau", "patience"),
            7,
        ),
        (
            "spec.stopping.criteria.0.plateau.patience=7",
            ("stopping", "criteria", 0, "plateau", "patience"),
            7,
        ),
        (
            "spec.stopping.criteria[2]={budget: {epochs: 9}}",
            ("stopping", "criteria", 2, "budget", "epochs"),
            9,
        ),
        ("spec.stopping.criteria[0]=null", ("stopping", "criteria", 0, "key"), "threshold"),
        ("spec.stopping.criteria=[]", ("stopping", "criteria"), ()),
        ("spec.stopping=null", ("stopping",), Stopping()),
        ("spec.checkpoint.storage.uri=/runs", ("checkpoint", "storage", "uri"), "/runs"),
        ("spec.stop={}", ("stop", "reason"), ""),
        (
            'spec.trainer.resourcesPerNode.limits["nvidia.com/gpu"]=1',
            ("trainer", "resources_per_node", "limits"),
            {"nvidia.com/gpu": "1"},
        ),
        (
            r"spec.trainer.resourcesPerNode.limits.nvidia\.com/gpu=1",
            ("trainer", "resources_per_node", "limits"),
            {"nvidia.com/gpu": "1"},
        ),
        ("spec.trainer.env[0].name=A", ("trainer", "env", 0, "name"), "A"),
    ],
)
def test_a_value_is_set_from_the_command_line(file, mnist, setting, path, value):
    found = load(file(mnist), [setting]).spec
    for step in path:
        found = found[step] if isinstance(step, int) else getattr(found, step)
    assert found == value


def test_settings_apply_in_turn(file, mnist):
    job = load(file(mnist), ["spec.trainer.config={a: 1}", "spec.trainer.config.b=2"])
    assert job.spec.trainer.config == {"a": 1, "b": 2}


def test_a_setting_repairs_a_fault_of_the_file(file, edited):
    text = edited(("maxEpochs: 100", "maxEpochs: 0"))
    assert load(file(text), ["spec.trainer.maxEpochs=3"]).spec.trainer.max_epochs == 3


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("spec.trainer.maxEpochs=0", "must be at least 1"),
        ("spec.trainer.maxEpochs=x", "must be a whole number"),
        ("spec.trainer.maxEpocs=5", 'unknown field; did you mean "maxEpochs"?'),
        ("trainer.maxEpochs=5", "trainer: unknown field; it is a field of spec"),
        (
            "spec.stopping.criteria[2].plateau.minDelta=0",
            "spec.stopping.criteria[2].plateau.patience: is required: add patience",
        ),
        (
            "spec.stopping.criteria[5].plateau.minDelta=0",
            "spec.stopping.criteria has 2 items: use an index from 0 to 2",
        ),
        (
            "spec.stopping.criteria.plateau=0",
            "spec.stopping.criteria is a list: write spec.stopping.criteria[0]",
        ),
        ("spec[0]=1", "spec is a mapping: name one of its fields, trainer, stopping"),
        (
            "spec.trainer.maxEpochs.a=1",
            "spec.trainer.maxEpochs is 100, which has no fields",
        ),
        ("spec.trainer.maxEpochs", "write it as PATH=VALUE, such as"),
        ("=5", "write it as PATH=VALUE"),
        ("spec..trainer=5", "cannot be read as a path"),
        (".spec=5", "cannot be read as a path"),
        ("spec.a[x]=5", "cannot be read as a path"),
        ("spec.trainer.config={a: [}", "column 6: not YAML"),
        ("spec.trainer.config={a: 1, a: 2}", "a: is already given"),
    ],
)
def test_an_error_of_a_setting_names_the_setting(file, mnist, problems, setting, expected):
    found = problems(file(mnist), [setting])
    assert len(found) == 1
    assert found[0].startswith(f"--set {setting}: {expected}")


def test_every_unreadable_setting_is_reported(file, mnist, problems):
    assert len(problems(file(mnist), ["a", "spec.trainer.maxEpochs=1", "b"])) == 2
