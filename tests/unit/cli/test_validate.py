"""`validate`: every problem in one line, then advice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sweep_manifests import sweep_manifest
from typer.testing import CliRunner

from trainjobs.cli.app import app


@pytest.fixture
def manifests(recording):
    """A good manifest, one with two mistakes, one that is no YAML."""
    text = recording.manifest.read_text()
    Path("bad.yaml").write_text(
        text.replace("patience: 5", "patience: 0")
        .replace("hidden", "hidden ")
        .replace("maxEpochs", "maxEpoch")
    )
    Path("broken.yaml").write_text("a: [1\nb: 2")
    return recording


def validate(*arguments):
    return CliRunner().invoke(app, ["validate", *arguments])


def test_a_valid_manifest_says_what_it_is(manifests):
    done = validate("mnist.yaml")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == (
        "mnist.yaml: valid (TrainJob mnist, 2 workers, at most 100 epochs, "
        "criteria: plateau, threshold, quick, budget)"
    )


def test_advice_follows_and_is_no_error(manifests):
    text = Path("mnist.yaml").read_text()
    Path("odd.yaml").write_text(text.replace("monitor: val_loss", "monitor: train_loss"))
    done = validate("odd.yaml")
    assert done.exit_code == 0
    assert any(
        line.startswith("odd.yaml: advice: spec.stopping") and "train_loss" in line
        for line in done.stdout.splitlines()
    )


def test_a_length_in_steps_is_told_as_such(manifests):
    Path("steps.yaml").write_text(Path("mnist.yaml").read_text().replace("maxEpochs: 100", "maxSteps: 5000"))
    assert "at most 5,000 steps" in validate("steps.yaml").stdout


def test_every_problem_has_a_line_of_its_own(manifests):
    done = validate("bad.yaml")
    assert done.exit_code == 78
    lines = done.stdout.splitlines()
    assert "bad.yaml:13: spec.stopping.criteria[0].plateau.patience: 0: must be at least 1" in lines
    assert any(
        line.startswith("bad.yaml:8: spec.trainer.maxEpoch: ") and 'did you mean "maxEpochs"?' in line
        for line in lines
    )


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (["mnist.yaml"], 0),
        (["broken.yaml"], 65),
        (["absent.yaml"], 66),
        (["mnist.yaml", "bad.yaml", "broken.yaml"], 78),
    ],
)
def test_the_exit_code_tells_the_kind_of_mistake(manifests, files, code):
    assert validate(*files).exit_code == code


def test_a_file_that_is_not_there_does_not_hide_the_others(manifests):
    out = validate("absent.yaml", "mnist.yaml").stdout
    assert out.startswith("reading absent.yaml: No such file or directory\nmnist.yaml: valid")


def test_paths_keep_their_folder(manifests):
    Path("deep/er").mkdir(parents=True)
    for name in ("bad.yaml", "broken.yaml"):
        Path(name).rename(Path("deep/er") / name)
    Path("deep/er/other.yaml").write_text("kind: Kustomization\n")
    done = validate("deep/er/bad.yaml", "deep/er/broken.yaml", "deep/er/other.yaml", "deep/er/absent.yaml")
    assert all("deep/er/" in line for line in done.stdout.splitlines())
    ran = CliRunner().invoke(app, ["run", "deep/er/bad.yaml"])
    assert all(line.startswith("error: deep/er/bad.yaml:") for line in ran.stderr.splitlines())


def test_a_directory_is_no_manifest(manifests):
    Path("jobs").mkdir()
    Path("jobs/a.yaml").touch()
    done = validate("jobs", "mnist.yaml")
    assert done.exit_code == 64
    assert done.stdout.startswith(
        "jobs: is a directory; name a file in it, such as jobs/a.yaml\nmnist.yaml: valid"
    )


@pytest.mark.parametrize("text", ["monitor: a\n{}", "stopping:\n  monitor: a\n  {}", "{}"])
def test_criteria_that_replay_takes_are_valid(manifests, text):
    criteria = "criteria: [{budget: {epochs: 3}}]"
    Path("criteria.yaml").write_text(text.format(criteria))
    done = validate("criteria.yaml")
    assert (done.exit_code, done.stdout) == (
        0,
        "criteria.yaml: valid (criteria for trainjobs replay, no TrainJob: budget)\n",
    )
    assert json.loads(validate("criteria.yaml", "-o", "json").stdout)["files"][0]["problems"] == []
    Path("criteria.yaml").write_text(text.format(criteria.replace("3", "0")))
    assert "criteria[0].budget.epochs: 0: must be at least 1" in validate("criteria.yaml").stdout


def test_a_sweep_has_advice_and_an_entrypoint_too(manifests):
    document = sweep_manifest(trainer={"entrypoint": "mine:train"}, objective={"metric": "val_accuracy"})
    Path("sweep.yaml").write_text(yaml.safe_dump(document))
    done = validate("sweep.yaml")
    path = "spec.template.spec.trainer.entrypoint"
    assert (done.exit_code, f': {path}: "mine:train": no module mine in ' in done.stdout) == (78, True)
    assert "no module mine" in CliRunner().invoke(app, ["sweep", "sweep.yaml"]).stderr
    assert not Path("sweeps").exists()
    Path("mine.py").write_text("def train(run): pass")
    done = validate("sweep.yaml")
    assert (done.exit_code, "advice: spec.objective.mode: is min" in done.stdout) == (0, True)
    document["spec"]["template"]["spec"]["trainer"] |= {
        "image": "somewhere/trainer:1",
        "entrypoint": "other:train",
    }
    Path("sweep.yaml").write_text(yaml.safe_dump(document))
    assert f"advice: {path}: no module other" in validate("sweep.yaml").stdout


def test_the_report_is_one_json_object(manifests):
    done = validate("mnist.yaml", "bad.yaml", "--output", "json")
    good, bad = json.loads(done.stdout)["files"]
    assert (good["file"], good["exit_code"], good["problems"]) == ("mnist.yaml", 0, [])
    assert bad["exit_code"] == 78
    assert {
        "path": "spec.stopping.criteria[0].plateau.patience",
        "line": 13,
        "value": 0,
        "message": "must be at least 1",
    } in bad["problems"]


def test_it_loads_neither_the_display_nor_what_trains(manifests):
    """It is for editors and commit hooks: half a second is the promise. Advice asks the criteria, a twentieth of it."""
    program = (
        "import sys; from pathlib import Path; from trainjobs.cli.app import validate\n"
        "try: validate([Path('mnist.yaml')])\n"
        "finally: print({'trainjobs.coordination', 'rich', 'torch', 'ray', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "set()"
