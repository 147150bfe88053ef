import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from criterion_plots import SCENES, Plot, with_alternatives
from pages import blocks

from trainjobs.api import Length
from trainjobs.api.stopping import Single, Stopping
from trainjobs.stopping import Panel, replay

ROOT = Path(__file__).parents[3]
CRITERIA = ROOT / "docs" / "criteria.md"
PAGE = CRITERIA.read_text()


@pytest.mark.parametrize("example", blocks(CRITERIA, "yaml"))
def test_every_example_is_a_valid_specification(example):
    document = yaml.safe_load(example)
    assert list(document) == ["stopping"]
    stopping = Stopping.model_validate(document["stopping"])
    assert len(Panel.of(stopping, Length.of(100, None)).judges) == len(document["stopping"]["criteria"])


def test_every_family_has_a_section_with_an_example():
    shown = "\n".join(blocks(CRITERIA, "yaml"))
    for name in Single.alternatives():
        key = Single.model_fields[name].alias
        assert f"\n## {key}\n" in PAGE
        assert f" {key}: {{" in shown


def test_every_family_has_a_picture_in_its_section():
    families = [Single.model_fields[name].alias for name in Single.alternatives()]
    assert list(SCENES) == [*sorted(families, key=lambda key: PAGE.index(f"\n## {key}\n")), "compositions"]
    sections = {part.partition("\n")[0].lower(): part for part in PAGE.split("\n## ")}
    assert [name for name in SCENES if f"](criteria/{name}.svg)" not in sections[name.lower()]] == []


def test_there_is_no_other_picture():
    assert {path.stem for path in (ROOT / "docs" / "criteria").iterdir()} == set(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_is_up_to_date(name):
    plot = Plot.of(name)
    assert (ROOT / "docs" / "criteria" / f"{name}.svg").read_text() == plot.drawn(), "run `make generate`"
    assert with_alternatives(PAGE, [plot]) == PAGE, "run `make generate`"


def test_every_parameter_is_explained():
    parameters = {
        field.alias for name in Single.alternatives() for field in type_of(name).model_fields.values()
    }
    assert {name for name in parameters if f"| `{name}` |" not in PAGE} == set()


def type_of(name):
    return Single.model_fields[name].annotation.__args__[0]


def test_the_class_of_ones_own_judges(tmp_path, monkeypatch, history):
    (rules,) = (block for block in blocks(CRITERIA, "python") if "# rules.py" in block)
    (tmp_path / "rules.py").write_text(rules)
    monkeypatch.delitem(sys.modules, "rules", raising=False)
    criterion = {"custom": {"class": "rules:Doubled", "parameters": {"metric": "m"}}}
    panel = Panel.of(Stopping.model_validate({"criteria": [criterion]}), code=tmp_path)
    assert replay(panel, history([0.5, 0.4, 1.0, 1.1])).criteria[0].stop.epoch == 4


@pytest.fixture
def with_stillness(tmp_path):
    """A copy of what a criterion is made of, with the one that the page adds; runs Python there."""
    for package in ("api", "stopping", "lint"):
        shutil.copytree(ROOT / "trainjobs" / package, tmp_path / "trainjobs" / package)
    (tmp_path / "trainjobs" / "__init__.py").touch()
    shutil.copy(ROOT / "trainjobs" / "exits.py", tmp_path / "trainjobs")
    shutil.copytree(ROOT / "tests" / "unit" / "stopping", tmp_path / "tests")
    parameters, field, judge, test = (block.split("\n", 1) for block in blocks(CRITERIA, "python")[-4:])
    specification = tmp_path / "trainjobs" / "api" / "stopping.py"
    text = specification.read_text().replace("class Single(", parameters[1] + "\n\nclass Single(")
    overfitting = '    """The gap between validation and training metric is too large."""\n'
    specification.write_text(text.replace(overfitting, overfitting + field[1]))
    (tmp_path / judge[0].removeprefix("# ")).write_text(judge[1])
    (tmp_path / "tests" / Path(test[0]).name).write_text(test[1])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_adding_a_criterion_takes_the_two_places_the_page_names(with_stillness, tmp_path):
    tests = [f"tests/test_{name}.py" for name in ("stillness", "families", "monitored")]
    with_stillness("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", *tests)


ADVISE = """
from trainjobs.lint import advise
from trainjobs.api.manifest import parse
stopping = {"monitor": "val_loss", "criteria": [{"stillness": {"window": 200, "width": 0.01}}]}
spec = {"trainer": {"entrypoint": "train:train", "maxEpochs": 10}, "stopping": stopping}
for one in advise(parse({"metadata": {"name": "a"}, "spec": spec})):
    print(f"{one.path}: {one.message}")
"""


def test_a_criterion_that_is_added_gets_advice_too(with_stillness):
    assert with_stillness("-c", ADVISE) == (
        "spec.stopping.criteria[0].stillness.window: with one report an epoch stillness cannot stop the run before "
        "epoch 200, and maxEpochs is 10: lower it, or raise maxEpochs\n"
    )
