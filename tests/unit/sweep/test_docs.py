"""What docs/sweeps.md shows is valid, and it names every criterion; so are the examples."""

from pathlib import Path

import pytest
import yaml
from pages import blocks

from trainjobs.api.manifest import Manifest
from trainjobs.api.pruning import PruningCriterion
from trainjobs.api.sweep import TrainSweep
from trainjobs.sweeps.space import checked

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "sweeps.md"


def test_the_manifest_on_the_page_is_valid(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(blocks(PAGE, "yaml")[0])
    assert checked(Manifest.read(path)).spec.trials == 24


def test_the_script_on_the_page_makes_the_classes_that_it_names():
    script = blocks(PAGE, "python")[0]
    names: dict = {"trainable": lambda config: None}
    exec(script, names)  # noqa: S102 - our own page
    assert type(names["tuner"]).__name__ == "Tuner"


def test_every_criterion_is_on_the_page():
    fields = PruningCriterion.model_fields
    for name in PruningCriterion.model_construct().alternatives():
        assert f"| `{fields[name].alias}` | " in PAGE.read_text()


@pytest.mark.parametrize("example", ["digits", "mnist"])
def test_an_example_is_a_valid_sweep_of_the_job_beside_it(example):
    folder = ROOT / "manifests" / "examples" / example
    sweep = checked(Manifest.read(folder / "sweep.yaml"))
    assert isinstance(sweep, TrainSweep)
    job = yaml.safe_load((folder / "trainjob.yaml").read_text())
    assert sweep.spec.template.spec.trainer.config == job["spec"]["trainer"]["config"]
