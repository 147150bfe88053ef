"""The command itself: quick, quiet, and with exit codes that scripts can rely on."""

import os
import re
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import Commands

HEAVY = "{'torch', 'ray', 'numpy', 'pyarrow'}"


@pytest.fixture(scope="module")
def trainjobs(tmp_path_factory):
    with Commands(tmp_path_factory.mktemp("commands")) as commands:
        yield partial(commands, COLUMNS="80")


def test_help_names_every_command(trainjobs):
    done = trainjobs("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "explain", "replay", "validate"))


def test_the_version_is_the_distributions(trainjobs):
    done = trainjobs("--version")
    assert (done.returncode, done.stdout) == (0, f"trainjobs {version('trainjobs')}\n")


def test_it_is_a_module_too():
    command = [sys.executable, "-m", "trainjobs", "explain", "no-such-run"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 66


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_it(trainjobs, shell):
    done = trainjobs("--show-completion", shell)
    assert done.returncode == 0
    assert "COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("command", "usage"), [("run", "FILE"), ("explain", "RUN"), ("replay", "CURVE"), ("validate", "FILE")]
)
def test_help_names_what_is_to_be_given_in_capitals(trainjobs, command, usage):
    out = trainjobs(command, "--help").stdout
    assert re.search(rf"Usage: .* {command} \[OPTIONS\] {{?{usage}}}?", out)
    assert "<bool>" not in out


LIGHT = [
    "api",
    "stopping",
    "kube",
    "runs",
    "driver.driver",
    "views.plain",
    "views.jsonlines",
    "cli.app",
    "cli.run",
    "cli.explain",
    "cli.replay",
    "cli.validate",
    "cli.rendering.display",
    "local.run_report",
    "cli.rendering.summary",
    "local.entrypoint",
    "local.beginning",
]


def test_no_command_loads_torch_or_ray_by_itself():
    """One after the other in one process: the first that did would be named."""
    program = "import importlib, sys\n" + "".join(
        f"importlib.import_module('trainjobs.{module}'); print({module!r}, sorted({HEAVY} & set(sys.modules)))\n"
        for module in LIGHT
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{module} []" for module in LIGHT]


def test_help_does_not_even_load_the_manifest_types():
    program = "import sys, trainjobs.cli.app; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


WRONG = {
    "no such command": (64, "nonsense"),
    "no such option": (64, "run", "mnist.yaml", "--nonsense"),
    "nothing named": (64, "run"),
    "a choice that there is not": (64, "run", "mnist.yaml", "--launcher", "slurm"),
    "an output that there is not": (64, "validate", "mnist.yaml", "-o", "xml"),
    "what excludes each other": (64, "run", "mnist.yaml", "--resume", "--fresh"),
    "a directory for a file": (64, "run", "."),
    "a setting without a value": (64, "run", "mnist.yaml", "--set", "spec.trainer.maxEpochs"),
    "a setting of no path": (64, "run", "mnist.yaml", "--set", "[=1"),
    "a setting of no field": (64, "run", "mnist.yaml", "--set", "spec.trainer.maxEpoch=1"),
    "a setting of a bad value": (64, "run", "mnist.yaml", "--set", "spec.trainer.maxEpochs=0"),
    "a setting that is no YAML": (64, "run", "mnist.yaml", "--set", "spec.trainer.config={"),
    "a setting below a value": (64, "run", "mnist.yaml", "--set", "metadata.name.first=a"),
    "a setting of a missing module": (64, "run", "mnist.yaml", "--set", "spec.trainer.entrypoint=no:no"),
    "a setting of a manifest that is wrong too": (
        78,
        "run",
        "wrong.yaml",
        "--set",
        "spec.trainer.maxEpochs=0",
    ),
    "no criteria": (64, "replay", "curve.csv"),
    "a manifest that is not there": (66, "run", "absent.yaml"),
    "a manifest that is no YAML": (65, "run", "broken.yaml"),
    "a manifest that is no text": (65, "validate", "picture.yaml"),
    "a manifest without an end": (65, "validate", "/dev/zero"),
    "a manifest that says what cannot be": (78, "run", "wrong.yaml"),
    "a manifest without its module": (78, "run", "alone.yaml"),
    "the worst of several": (78, "validate", "mnist.yaml", "broken.yaml", "wrong.yaml"),
    "a run that is not there": (66, "explain", "runs/none"),
    "a file for a run": (66, "explain", "mnist.yaml"),
    "a curve that is not there": (66, "replay", "none.csv", "-c", "mnist.yaml"),
    "a curve without a row": (65, "replay", "empty.csv", "-c", "mnist.yaml"),
    "criteria that are not there": (66, "replay", "curve.csv", "-c", "none.yaml"),
    "a curve in a pipe": (64, "replay", "/dev/stdin", "-c", "mnist.yaml"),
    "a file for a run directory": (73, "run", "mnist.yaml", "--run-dir", "mnist.yaml"),
    "a directory of other things": (73, "run", "mnist.yaml", "--run-dir", "."),
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_kind_of_mistake_has_its_exit_code(trainjobs, recording, kind):
    text = recording.manifest.read_text()
    Path("wrong.yaml").write_text(text.replace("patience: 5", "patience: -5"))
    Path("alone.yaml").write_text(text.replace("train:train", "elsewhere:train"))
    Path("broken.yaml").write_text("kind: [")
    Path("picture.yaml").write_bytes(b"\x89PNG\xff")
    Path("curve.csv").write_text("epoch,val_loss,val_accuracy\n1,0.5,0.5\n")
    Path("empty.csv").write_text("epoch,val_loss\n")
    code, *arguments = WRONG[kind]
    done = trainjobs(*arguments, stdin="epoch,val_loss\n1,0.5\n")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).strip()
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", [("validate", "/dev/stdin"), ("replay", "curve.csv", "-c", "/dev/stdin")])
def test_a_manifest_may_come_through_a_pipe(trainjobs, recording, command):
    Path("curve.csv").write_text("epoch,val_loss,val_accuracy\n1,0.5,0.5\n")
    text = recording.manifest.read_text().replace("train:train", "json:dumps")
    done = trainjobs(*command, stdin=text)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_is_told_on_standard_error_without_a_traceback(trainjobs):
    done = trainjobs("explain", "no-such-run")
    assert done.returncode == 66
    assert done.stdout == ""
    assert (
        done.stderr
        == "error: no-such-run: no such run directory; runs are kept under runs/<name> by default\n"
    )


def test_a_terminal_that_knows_only_ascii_gets_all_the_words(recording):
    recording.early_stop()
    command = [sys.executable, "-m", "trainjobs", "explain", "runs/mnist"]
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert "plateau    ##########" in done.stdout


def test_a_reader_that_is_gone_is_no_error(recording):
    recording.early_stop()
    command = f"{sys.executable} -c 'from trainjobs.cli import main; main()' explain runs/mnist | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "explain runs/mnist",
        "explain runs/mnist -o json",
        "validate mnist.yaml",
        "--version",
        "replay runs/mnist -c mnist.yaml",
    ],
)
def test_output_that_cannot_be_written_is_a_sentence_and_74(recording, command):
    recording.early_stop()
    line = f"{sys.executable} -m trainjobs {command} >/dev/full"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert (done.returncode, done.stderr) == (74, "error: writing standard output: No space left on device\n")


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 0), (">&- 2>&-", 0), ("<&- >&- 2>&-", 0), ("<&- 2>&- >/dev/full", 74)]
)
def test_streams_that_are_closed_are_no_trouble(recording, closed, code):
    recording.early_stop()
    before = {path: path.read_bytes() for path in recording.place.path.iterdir() if path.is_file()}
    line = f"{sys.executable} -m trainjobs explain runs/mnist {closed}"
    assert subprocess.run(line, shell=True, check=False).returncode == code  # noqa: S602
    assert before == {path: path.read_bytes() for path in before}
