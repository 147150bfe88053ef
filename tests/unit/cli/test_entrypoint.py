"""Where the training function is looked for, and that none of its code runs for that."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainjobs.cli.app import app
from trainjobs.runtime.user_code.entrypoint import load as load_entrypoint

GOOD = "def train(run): ..."


@pytest.fixture
def check(recording):
    """What `validate` and `run` say of an entrypoint whose module has this source; code that is run would raise."""

    def said(source, entrypoint="train:train", trainer=""):
        Path("sub/pack/inner").mkdir(parents=True, exist_ok=True)
        Path("sub/train.py").write_text(source)
        Path("sub/pack/__init__.py").write_text("raise SystemExit('imported')")
        Path("sub/pack/part.py").write_text(source)
        Path("sub/pack/inner/deep.py").write_text(source)
        text = Path("mnist.yaml").read_text()
        new = f"entrypoint: {entrypoint}\n    {trainer}"
        Path("sub/job.yaml").write_text(text.replace("entrypoint: train:train", new))
        done = CliRunner().invoke(app, ["validate", "sub/job.yaml"])
        return done.exit_code, done.stdout

    return said


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "raise RuntimeError('imported')\n" + GOOD,
        "import nothing_like_this\n" + GOOD,
        "def train(run, *, verbose=False): ...",
        "def train(*runs): ...",
        "def train(run, lr=0.1, /): ...",
        "@decorated\ndef train(a, b): ...",
        "class train:\n    def __init__(self, run): ...",
        "train = lambda run: None",
        "from elsewhere import other as train",
        "from elsewhere import train",
        "from elsewhere import *",
        "import train",
        "if True:\n    def train(run): ...",
        "try:\n    from a import train\nexcept ImportError:\n    pass",
        "try:\n    pass\nexcept ImportError:\n    def train(run): ...",
        "with a as train:\n    pass",
        "(a, train), b = c",
        "train: object = b",
        "globals()['train'] = print",
        "def __getattr__(name): ...",
    ],
)
def test_a_function_that_is_there_is_found_without_running_anything(check, source):
    code, out = check(source)
    assert (code, "entrypoint" in out) == (0, False), out


@pytest.mark.parametrize(
    "entrypoint", ["pack.part:train", "pack.inner.deep:train", "json:dumps", "json.decoder:scanstring"]
)
def test_a_module_is_found_in_packages_and_on_pythons_path(check, entrypoint):
    assert check(GOOD, entrypoint)[0] == 0


@pytest.mark.parametrize(
    ("source", "entrypoint", "said"),
    [
        (GOOD, "nothere:train", '"nothere:train": no module nothere in '),
        (GOOD, "trian:train", '; did you mean "train"?'),
        (GOOD, "pack.nothere:train", "no module pack.nothere in "),
        (GOOD, "train.below:train", "no module train.below in "),
        (GOOD, "train:trian", 'train has no function trian; did you mean "train"?'),
        (
            "def other(run): ...\nif False:\n    def inner(): ...",
            "train:train",
            "train has no function train",
        ),
        ("class A:\n    def train(self): ...", "train:train", "train has no function train"),
        ("x = 1\ndef train(run)\n    ...", "train:train", "sub/train.py:2: expected ':'"),
        ("def train(): ...", "train:train", "but its signature is train(); write def train(run)"),
        (
            "def train(run, data): ...",
            "train:train",
            "its signature is train(run, data); write def train(run)",
        ),
        ("def train(run, *, data): ...", "train:train", "its signature is train(run, *, data); write"),
    ],
)
def test_a_function_that_is_not_there_is_an_error(check, source, entrypoint, said):
    code, out = check(source, entrypoint)
    assert code == 78
    assert out.startswith("sub/job.yaml:6: spec.trainer.entrypoint: ")
    assert said in out


@pytest.mark.parametrize(
    ("trainer", "place"),
    [
        ("image: registry.example/a:1", "image registry.example/a:1"),
        ("code: {configMap: code}", "ConfigMap code"),
    ],
)
def test_where_the_cluster_has_the_code_it_is_advice(check, trainer, place):
    code, out = check(GOOD, "nothere:train", trainer)
    assert code == 0
    assert "advice: spec.trainer.entrypoint: no module nothere in " in out
    assert f"; on a cluster it has to be in the {place}\n" in out


@pytest.mark.parametrize("source", ["def train(): ...", "def train(run, data): ...", "def trian(run): ..."])
def test_the_worker_is_of_the_same_opinion(check, source, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"made_{abs(hash(source))}"
    Path(f"{name}.py").write_text(source)
    with pytest.raises(Exception, match=r"write def train\(run\)|has no function train"):
        load_entrypoint(f"{name}:train", tmp_path)
    assert check(source)[0] == 78


def test_run_finds_it_out_before_anything_is_made(recording):
    Path("mnist.yaml").write_text(Path("mnist.yaml").read_text().replace("train:train", "nothere:train"))
    done = CliRunner().invoke(app, ["run", "mnist.yaml"])
    assert done.exit_code == 78
    assert done.stderr.startswith(
        'error: mnist.yaml:6: spec.trainer.entrypoint: "nothere:train": no module nothere in '
    )
    assert not Path("runs").exists()


def test_an_entrypoint_of_the_command_line_is_named_as_such(recording):
    setting = "spec.trainer.entrypoint=nothere:train"
    done = CliRunner().invoke(app, ["run", "mnist.yaml", "--set", setting])
    assert done.exit_code == 64
    assert done.stderr.startswith(f"error: --set {setting}: no module nothere in ")
