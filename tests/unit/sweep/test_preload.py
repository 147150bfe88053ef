import pytest

from trainjobs.sweeps.preload import imported

CODE = """
import os, yaml
import no_such_package
from trainjobs import Run
from rich.text import Text
from . import sibling
import helper
try:
    import psutil
except ImportError:
    pass


def train(run):
    import typer
"""


def test_installed_packages_that_the_file_imports_at_its_top_are_found(tmp_path):
    (tmp_path / "train.py").write_text(CODE)
    (tmp_path / "helper.py").touch()
    assert imported(tmp_path, "train:train") == ["os", "yaml", "rich.text"]


@pytest.mark.parametrize(
    "first", ["import helper", "from . import helper", "os.environ['A'] = 'b'", "if os: pass", "call()"]
)
def test_what_is_imported_after_something_has_been_done_is_left_to_the_trial(tmp_path, first):
    (tmp_path / "train.py").write_text(f'"""Trains."""\nimport os\n{first}\nimport yaml\n')
    (tmp_path / "helper.py").touch()
    assert imported(tmp_path, "train:train") == ["os"]


@pytest.mark.parametrize("text", ["def (", "\0"])
def test_a_file_that_cannot_be_read_has_none(tmp_path, text):
    (tmp_path / "train.py").write_text(text)
    assert imported(tmp_path, "train:train") == imported(tmp_path, "elsewhere.train:train") == []
