"""The command itself: quick, quiet, and with exit codes that scripts can rely on."""

import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = "{'torch', 'ray', 'numpy', 'pyarrow'}"


def trainjobs(*arguments, **environment):
    command = [sys.executable, "-c", "from trainjobs.cli import main; main()", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80", **environment},
    )


def test_help_names_every_command():
    done = trainjobs("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "explain", "replay", "validate"))


def test_the_version_is_the_distributions():
    done = trainjobs("--version")
    assert (done.returncode, done.stdout) == (0, f"trainjobs {version('trainjobs')}\n")


def test_it_is_a_module_too():
    command = [sys.executable, "-m", "trainjobs", "explain", "no-such-run"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 66


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_it(shell):
    done = trainjobs("--show-completion", shell)
    assert done.returncode == 0
    assert "COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("command", "usage"), [("run", "FILE"), ("explain", "RUN"), ("replay", "CURVE"), ("validate", "FILE")]
)
def test_help_names_what_is_to_be_given_in_capitals(command, usage):
    out = trainjobs(command, "--help").stdout
    assert re.search(rf"Usage: .* {command} \[OPTIONS\] {{?{usage}}}?", out)
    assert "<bool>" not in out


@pytest.mark.parametrize(
    "module",
    [
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
        "cli.display",
        "cli.run_report",
        "cli.summary",
        "cli.entrypoint",
        "cli.beginning",
    ],
)
def test_no_command_loads_torch_or_ray_by_itself(module):
    program = f"import sys, trainjobs.{module}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_does_not_even_load_the_manifest_types():
    program = "import sys, trainjobs.cli.app; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "mnist.yaml", "--nonsense"), ("replay", "curve.csv"), ("nonsense",)],
    ids=" ".join,
)
def test_a_wrong_command_line_is_64(arguments):
    done = trainjobs(*arguments)
    assert done.returncode == 64
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_is_told_on_standard_error_without_a_traceback():
    done = trainjobs("explain", "no-such-run")
    assert done.returncode == 66
    assert done.stdout == ""
    assert (
        done.stderr
        == "error: no-such-run: no such run directory; runs are kept under runs/<name> by default\n"
    )


def test_a_terminal_that_knows_only_ascii_gets_all_the_words(recording):
    recording.early_stop()
    done = trainjobs("explain", "runs/mnist", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "plateau    ##########" in done.stdout


def test_a_reader_that_is_gone_is_no_error(recording):
    recording.early_stop()
    command = f"{sys.executable} -c 'from trainjobs.cli import main; main()' explain runs/mnist | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert "Traceback" not in done.stderr
