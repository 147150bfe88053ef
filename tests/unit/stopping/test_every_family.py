"""Every family, in all the places where one is met: a replay, a manifest that is refused, the CRD.

Its real run is in tests/processes/test_criteria.py. What is tried is each family's scene of docs/criteria.md, so a new
family is here as soon as it has its picture, which test_docs.py asks for.
"""

import csv
import json
from pathlib import Path

import pytest
import yaml
from criterion_plots import PAGE, SCENES, Plot
from pages import blocks
from typer.testing import CliRunner

from trainjobs.api.crd.definition import definition
from trainjobs.api.manifest import SpecError, load
from trainjobs.api.stopping import Single
from trainjobs.cli.app import app

KINDS = {
    field.alias: field.annotation.__args__[0] for field in map(Single.model_fields.get, Single.alternatives())
}
PARAMETERS = {family: [field.alias for field in kind.model_fields.values()] for family, kind in KINDS.items()}
SPEC = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
CRITERION = SPEC["stopping"]["properties"]["criteria"]["items"]["properties"]


def required(kind):
    return {field.alias for field in kind.model_fields.values() if field.is_required()}


def criterion(family):
    return yaml.safe_load(f"{{{SCENES[family].criterion}}}")


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What is said of a manifest with this criterion: (place, sentence) of each problem."""
    monkeypatch.chdir(tmp_path)

    def read(family, parameters):
        Path("job.yaml").write_text(
            "apiVersion: trainjobs.dev/v1alpha1\nkind: TrainJob\nmetadata: {name: a}\nspec:\n"
            "  trainer: {entrypoint: train:train, maxEpochs: 100}\n  stopping:\n    monitor: val_loss\n    criteria:\n"
            f"      - {json.dumps({family: parameters})}\n"
        )
        with pytest.raises(SpecError) as caught:
            load(Path("job.yaml"))
        said = [str(problem).split(": ", 2) for problem in caught.value.problems]
        assert {place.partition(" ")[0] for place, _, _ in said} == {"job.yaml:9"}
        return [(path.removeprefix(f"spec.stopping.criteria[0].{family}."), rest) for _, path, rest in said]

    return read


@pytest.mark.parametrize("family", KINDS)
def test_a_replay_stops_where_the_criterion_does_and_says_why(tmp_path, monkeypatch, family):
    monkeypatch.chdir(tmp_path)
    plot = Plot.of(family)
    with Path("curve.csv").open("w", newline="") as file:
        rows = zip(*(values[: plot.scene.epochs] for values in plot.curves.values()), strict=True)
        csv.writer(file).writerows(
            [["epoch", *plot.curves], *([i, *row] for i, row in enumerate(rows, start=1))]
        )
    monitor = {"monitor": "val_loss"} if "val_loss" in plot.curves else {}
    Path("criteria.yaml").write_text(yaml.safe_dump({**monitor, "criteria": [criterion(family)]}))
    (rules,) = (block for block in blocks(PAGE, "python") if "# rules.py" in block)
    Path("rules.py").write_text(rules)
    done = CliRunner().invoke(app, ["replay", "curve.csv", "--criteria", "criteria.yaml", "-o", "json"])
    assert done.exit_code == 0, done.output
    (alone,) = json.loads(done.stdout)["criteria"]
    assert (alone["stop"]["epoch"], alone["stop"]["reason"]) == (plot.end, plot.verdicts[-1].reason)


@pytest.mark.parametrize("family", KINDS)
def test_a_value_of_another_type_is_refused_at_its_place(refused, family):
    for parameter in PARAMETERS[family]:
        said = refused(family, {**criterion(family)[family], parameter: [[]]})
        assert {place.partition("[")[0] for place, _ in said} == {parameter}
        assert any("must be" in sentence for _, sentence in said), parameter


@pytest.mark.parametrize("family", KINDS)
def test_a_parameter_that_it_does_not_have_is_refused_with_those_that_it_has(refused, family):
    ((place, said),) = refused(family, {**criterion(family)[family], "zeal": 1})
    assert place == "zeal"
    assert "unknown field" in said


@pytest.mark.parametrize("family", [name for name, kind in KINDS.items() if required(kind)])
def test_what_must_be_given_is_named(refused, family):
    said = refused(family, {})
    assert {place for place, _ in said} >= required(KINDS[family])


@pytest.mark.parametrize("family", KINDS)
def test_the_crd_has_it_with_its_words_and_bounds(refused, family):
    for parameter in PARAMETERS[family]:
        schema = CRITERION[family]["properties"][parameter]
        assert schema["description"], parameter
        if "minimum" in schema:
            below = schema["minimum"] - (not schema.get("exclusiveMinimum", False))
            ((place, said),) = refused(family, {**criterion(family)[family], parameter: below})
            assert (place, "must be" in said) == (parameter, True)
