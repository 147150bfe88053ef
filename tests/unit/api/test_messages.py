"""What is said of a value that has not the shape, the bound or the name that it should have."""

import pytest
import yaml

from trainjobs.api import TrainJob, TrainJobStatus
from trainjobs.api.fields import models_in
from trainjobs.api.manifest import SpecError, parse
from trainjobs.api.stopping import Single


def said(at, value):
    """The problems of a small manifest with one value at a path."""
    trainer = {"entrypoint": "train:train", "maxEpochs": 5}
    document = {"metadata": {"name": "a"}, "spec": {"trainer": trainer, "stopping": {"monitor": "m"}}}
    *steps, last = at.split(".")
    part = document["spec"]
    for step in steps:
        part = part.setdefault(step, {})
    part[last] = value
    with pytest.raises(SpecError) as caught:
        parse(document)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("at", "value", "expected"),
    [
        ("stop", True, "spec.stop: true: must be a mapping of fields, such as stop: {reason: good enough}"),
        ("stop", "now", 'spec.stop: "now": must be a mapping of fields, such as stop: {reason: good enough}'),
        (
            "stopping.criteria",
            [{"plateau": 3}],
            "spec.stopping.criteria[0].plateau: 3: must be a mapping of fields, such as plateau: {patience: 5}",
        ),
        (
            "stopping.criteria",
            [{"not": [{"plateau": {"patience": 3}}]}],
            'spec.stopping.criteria[0].not: [{"plateau": {"patience": 3}}]: must be a mapping of fields, '
            "such as not: {plateau: {patience: 5}}",
        ),
        (
            "stopping.criteria",
            ["plateau"],
            'spec.stopping.criteria[0]: "plateau": must be a mapping of fields, such as {plateau: {patience: 5}}',
        ),
        (
            "stopping.criteria",
            [{"plateau": {"patience": 1, "minDelta": -0.5}}],
            "spec.stopping.criteria[0].plateau.minDelta: -0.5: must be at least 0",
        ),
        (
            "stopping.smoothing",
            {"ema": {"alpha": 1.5}},
            "spec.stopping.smoothing.ema.alpha: 1.5: must be at most 1",
        ),
        ("trainer.maxEpochs", 10**26, f"spec.trainer.maxEpochs: {10**26}: must be at most 1000000"),
        (
            "stopping.criteria",
            [{"plateau": {"patience": 10**26}}],
            f"spec.stopping.criteria[0].plateau.patience: {10**26}: must fit in 64 bits",
        ),
        (
            "trainer.config",
            {"a": [{"b": 10**26}]},
            f"spec.trainer.config.a[0].b: {10**26}: must fit in 64 bits: write it as text or as 1e20",
        ),
    ],
)
def test_a_wrong_value_is_told_with_a_remedy_that_fits_its_place(at, value, expected):
    assert said(at, value) == [expected]


def every_model(kind, found):
    if kind not in found and kind is not TrainJobStatus:
        found.append(kind)
        for field in kind.model_fields.values():
            for inner in models_in(field.annotation):
                every_model(inner, found)
    return found


@pytest.mark.parametrize("kind", [kind for kind in every_model(TrainJob, []) if kind is not TrainJob])
def test_every_type_has_an_example_that_is_valid(kind):
    assert "\n" not in kind.example
    kind.model_validate(yaml.safe_load(kind.example), by_alias=True, by_name=False)


def test_every_family_has_an_example_of_its_own():
    kinds = [Single.model_fields[name].annotation.__args__[0] for name in Single.alternatives()]
    assert all("example" in vars(kind) for kind in kinds)


def nested(levels, of):
    value = 1
    for _ in range(levels):
        value = of(value)
    return value


@pytest.mark.parametrize("of", [lambda value: {"a": value}, lambda value: [value]], ids=["mapping", "list"])
@pytest.mark.parametrize("levels", [65, 100_000])
def test_values_that_nest_too_deep_are_refused_in_a_sentence(of, levels):
    (problem,) = said("trainer.config", {"deep": nested(levels, of)})
    assert problem.endswith("nests deeper than 64 levels")


def test_a_value_that_holds_itself_is_refused_in_a_sentence():
    endless = []
    endless.append(endless)
    (problem,) = said("trainer.config", {"endless": endless})
    assert problem.endswith("nests deeper than 64 levels")


def test_values_may_nest_as_deep_as_a_file_may():
    trainer = {
        "entrypoint": "train:train",
        "maxEpochs": 5,
        "config": {"deep": nested(60, lambda value: [value])},
    }
    assert parse({"metadata": {"name": "a"}, "spec": {"trainer": trainer}}).spec.trainer.config["deep"]
