"""A project's first two files: what they are named by, and what is never written over."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainjobs.api.manifest import load
from trainjobs.cli.app import app
from trainjobs.cli.project.init import NAMES, job_name
from trainjobs.exits import Exit


def begin(directory: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["init", str(directory)])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("spirals", "spirals"),
        ("My Net_2", "my-net-2"),
        ("2026-net", "net"),
        ("--", "first"),
        ("/", "first"),
        ("größe", "gr-e"),
        ("a" * 39 + "-b" * 20, "a" * 39),
    ],
)
def test_a_job_has_its_directorys_name_as_kubernetes_takes_it(directory, name):
    assert job_name(Path(directory)) == name


def test_what_is_written_is_a_valid_manifest_and_its_function(tmp_path):
    code, output = begin(tmp_path / "deep" / "Net 1")
    assert code == Exit.DONE
    project = tmp_path / "deep" / "Net 1"
    *written, following = output.splitlines()
    assert written == [str(project / name) for name in NAMES]
    assert following.endswith(f" run '{project / 'trainjob.yaml'}'")
    assert load(project / "trainjob.yaml").metadata.name == "net-1"
    compile((project / "train.py").read_text(), "train.py", "exec")
    assert CliRunner().invoke(app, ["validate", str(project / "trainjob.yaml")]).exit_code == Exit.DONE


@pytest.mark.parametrize("name", ["null", "y", "net"])
def test_a_name_that_yaml_takes_for_something_else_is_a_name(tmp_path, name):
    assert begin(tmp_path / name)[0] == Exit.DONE
    assert load(tmp_path / name / "trainjob.yaml").metadata.name == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "directory", "link to nothing"])
def test_nothing_is_written_over(tmp_path, name, kind):
    there = tmp_path / name
    match kind:
        case "file":
            there.write_text("mine")
        case "directory":
            there.mkdir()
        case _:
            there.symlink_to("nowhere")
    code, output = begin(tmp_path)
    assert code == Exit.CANNOT_CREATE
    assert f"{there}: is there already" in output
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_in_the_directorys_place_is_told(tmp_path):
    (tmp_path / "net").write_text("mine")
    code, output = begin(tmp_path / "net")
    assert code == Exit.CANNOT_CREATE
    assert "is no directory" in output
    assert begin(tmp_path / "net" / "deeper")[0] == Exit.IO
