"""What is published, a wheel, holds both packages whole and works where nothing else is."""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from processes import ROOT

UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str | Path, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a source distribution, so that nothing which lies about in the working tree gets in."""
    directory = tmp_path_factory.mktemp("distribution")
    run(UV, "build", "--quiet", "--out-dir", directory, ROOT)
    (wheel,) = directory.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_library_and_the_operator_and_nothing_else(wheel):
    options = ["--cached", "--others", "--exclude-standard"]
    sources = run("git", "ls-files", *options, "trainjobs", "operator", cwd=ROOT).split()
    kinds = (".py", "py.typed", ".html", ".css", ".js", ".template")
    wanted = {path.removeprefix("operator/") for path in sources if path.endswith(kinds)}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info" not in PurePosixPath(name).parts[0]}
    assert held == wanted


def test_installed_alone_it_runs(wheel, tmp_path):
    environment = tmp_path / "environment"
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin/python"
    constraints = ["--constraint", ROOT / "constraints.txt"]
    run(UV, "pip", "install", "--quiet", "--python", python, *constraints, f"{wheel}[operator]")
    assert "--default-image" in run(python, "-m", "trainjob_operator", "--help", cwd=tmp_path)
    assert "explain" in run(environment / "bin/trainjobs", "--help", cwd=tmp_path)
