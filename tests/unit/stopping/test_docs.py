import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pages import blocks

from trainjobs.api.stopping import Single, Stopping
from trainjobs.stopping import Panel

ROOT = Path(__file__).parents[3]
CRITERIA = ROOT / "docs" / "criteria.md"
PAGE = CRITERIA.read_text()


@pytest.mark.parametrize("example", blocks(CRITERIA, "yaml"))
def test_every_example_is_a_valid_specification(example):
    document = yaml.safe_load(example)
    assert list(document) == ["stopping"]
    stopping = Stopping.model_validate(document["stopping"])
    assert len(Panel.of(stopping).judges) == len(document["stopping"]["criteria"])


def test_every_family_has_a_section_with_an_example():
    shown = "\n".join(blocks(CRITERIA, "yaml"))
    for name in Single.alternatives():
        key = Single.model_fields[name].alias
        assert f"\n## {key}\n" in PAGE
        assert f" {key}: {{" in shown


def test_every_parameter_is_explained():
    parameters = {
        field.alias for name in Single.alternatives() for field in type_of(name).model_fields.values()
    }
    assert {name for name in parameters if f"| `{name}` |" not in PAGE} == set()


def type_of(name):
    return Single.model_fields[name].annotation.__args__[0]


def test_adding_a_criterion_takes_the_two_places_the_page_names(tmp_path):
    shutil.copytree(ROOT / "trainjobs" / "api", tmp_path / "trainjobs" / "api")
    shutil.copytree(ROOT / "trainjobs" / "stopping", tmp_path / "trainjobs" / "stopping")
    (tmp_path / "trainjobs" / "__init__.py").touch()
    shutil.copytree(ROOT / "tests" / "unit" / "stopping", tmp_path / "tests")
    parameters, field, judge, test = (block.split("\n", 1) for block in blocks(CRITERIA, "python"))
    specification = tmp_path / "trainjobs" / "api" / "stopping.py"
    text = specification.read_text().replace("class Single(", parameters[1] + "\n\nclass Single(")
    overfitting = '    """The gap between validation and training metric is too large."""\n'
    specification.write_text(text.replace(overfitting, overfitting + field[1]))
    (tmp_path / judge[0].removeprefix("# ")).write_text(judge[1])
    (tmp_path / "tests" / Path(test[0]).name).write_text(test[1])
    tests = [tmp_path / "tests" / f"test_{name}.py" for name in ("stillness", "families", "monitored")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        *tests,
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
