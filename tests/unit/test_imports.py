"""What is light stays light: no package loads what its user did not ask for."""

import os
import subprocess
import sys

HEAVY = ("torch", "ray", "kubernetes", "numpy", "pyarrow", "requests", "google.auth")


LIGHT = [
    "trainjobs",
    "trainjobs.api",
    "trainjobs.stopping",
    "trainjobs.lint",
    "trainjobs.coordination",
    "trainjobs.runtime",
    "trainjobs.recorded",
    "trainjobs.local.api",
    "trainjobs.cli",
    "trainjobs.cli.run",
    "trainjobs.cli.explain",
    "trainjobs.cli.replay",
    "trainjobs.cli.validate",
    "trainjobs.kube.transport",
    "trainjob_operator.__main__",
]


def test_a_bare_interpreter_loads_none_of_the_heavy_ones():
    """One after the other in one interpreter: the first that did would be named."""
    code = "import sys\n" + "".join(
        f"import {module}; print({module!r}, [name for name in {HEAVY} if name in sys.modules])\n"
        for module in LIGHT
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{module} []" for module in LIGHT]


def test_the_operator_loads_no_types_that_it_does_not_read():
    code = "import sys, trainjob_operator.__main__; print('trainjobs.api.sweep' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_list_of_what_is_in_a_cluster_loads_no_criteria_and_nothing_of_runs(tmp_path):
    """They take longer than all else that it does."""
    (tmp_path / "config").write_text(
        "{current-context: lab, contexts: [{name: lab, context: {cluster: lab}}], "
        'clusters: [{name: lab, cluster: {server: "https://127.0.0.1:9"}}]}'
    )
    names = (
        "trainjobs.api.stopping",
        "trainjobs.stopping",
        "trainjobs.coordination",
        "trainjobs.runs.events",
    )
    code = (
        "import sys; from typer.testing import CliRunner; from trainjobs.cli.app import app\n"
        "done = CliRunner().invoke(app, ['list']); assert 'the API server does not answer' in done.output, done\n"
        f"print([name for name in {(*HEAVY, *names)} if name in sys.modules])"
    )
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "config")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
