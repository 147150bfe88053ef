"""An entrypoint that cannot be called is refused with its name and what to write instead."""

import logging
import os
import sys
from uuid import uuid4

import pytest

from trainjobs.exits import ConfigError
from trainjobs.runtime.user_code.entrypoint import load, no_input, program

CODE = "import json\ndef train(run): return run\ndef pair(run, other): ...\nanswer = 42\n"


@pytest.fixture
def code(tmp_path):
    """A directory of code, and the name of its module, new for each test: Python imports a name only once."""
    name = f"entry_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_library\n")
    with program(tmp_path):
        yield tmp_path, name


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


def test_a_program_has_the_arguments_and_the_path_that_python_would_give_it(code):
    directory, name = code
    load(f"{name}:train", directory)
    assert sys.argv == [str(directory / f"{name}.py")]
    assert sys.path[0] == str(directory)


def test_an_input_at_its_end_has_nothing_to_read_until_it_is_over():
    before = sys.stdin, os.fstat(0)
    with no_input():
        with pytest.raises(EOFError):
            input()
        assert os.read(0, 1) == b""
    assert (sys.stdin, os.fstat(0)) == before


def test_a_program_configures_its_own_logging(tmp_path, capsys):
    taken = logging.NullHandler()
    logging.getLogger().addHandler(taken)
    try:
        with program(tmp_path):
            logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
            logging.getLogger("train").info("loaded")
        assert capsys.readouterr().err == "INFO loaded\n"
        assert taken in logging.getLogger().handlers
    finally:
        logging.getLogger().removeHandler(taken)


def test_after_a_program_the_process_is_as_it_was(tmp_path):
    def world():
        root = logging.getLogger()
        return list(sys.argv), list(sys.path), sys.stdin, os.fstat(0), root.level, list(root.handlers)

    before = world()
    with program(tmp_path):
        logging.basicConfig(level=logging.DEBUG)
        sys.argv.append("--more")
        sys.path.append("/elsewhere")
    assert world() == before
