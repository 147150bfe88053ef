"""An entrypoint that cannot be called is refused with its name and what to write instead."""

from uuid import uuid4

import pytest

from trainjobs.runtime.entrypoint import load
from trainjobs.runtime.exits import ConfigError

CODE = "import json\ndef train(run): return run\ndef pair(run, other): ...\nanswer = 42\n"


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A directory of code, and the name of its module, new for each test: Python imports a name only once."""
    name = f"entry_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path, name


def test_the_function_beside_the_manifest_is_found(code):
    directory, name = code
    assert load(f"{name}:train", directory)("run") == "run"


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("trian", 'no function trian; did you mean "train"'),
        ("pair", r"its signature is pair\(run, other\); write def pair\(run\)"),
        ("answer", "no function answer"),
    ],
)
def test_a_function_that_cannot_be_called_with_the_run_is_refused(code, function, complaint):
    directory, name = code
    with pytest.raises(ConfigError, match=complaint):
        load(f"{name}:{function}", directory)


def test_a_module_that_is_not_there_is_named_with_the_nearest_file(code):
    directory, name = code
    with pytest.raises(ConfigError, match=f'no module {name}x in .*did you mean "{name}"'):
        load(f"{name}x:train", directory)


def test_an_import_that_fails_inside_the_users_module_is_the_users_error(code):
    directory, name = code
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load(f"{name}_broken:train", directory)
