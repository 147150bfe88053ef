"""A worker's error as the user should read it: their own frames, whatever they raised."""

from uuid import uuid4

import pytest

from trainjobs.exits import Exit
from trainjobs.runtime.user_code import entrypoint
from trainjobs.runtime.user_code.failures import LONGEST_TEXT, failure_of

FILE = """
import sys

class Mute(Exception):
    def __str__(self):
        raise ValueError("no words")

def fail():
    raise ValueError("the label")

def train(run):
    try:
        fail()
    except ValueError as error:
        {then}
"""


@pytest.fixture
def failure(tmp_path):
    """What is told of a training function, in a module of this text, that is imported and called as a worker does."""

    def of(text):
        name = f"broken_{uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(text)
        try:
            with entrypoint.program(tmp_path):
                entrypoint.load(f"{name}:train", tmp_path)(None)
        except BaseException as error:
            own_frame_left_out = error.__traceback__.tb_next
            return failure_of(error.with_traceback(own_frame_left_out), 1, tmp_path)
        raise AssertionError("nothing failed")

    return of


SITUATIONS = {
    "the error itself": (FILE.format(then="raise"), "ValueError", "the label", 2),
    "raised from it": (FILE.format(then="raise KeyError('x') from error"), "KeyError", "'x'", 3),
    "raised while it is handled": (FILE.format(then="{}['x']"), "KeyError", "'x'", 3),
    "a group": (
        FILE.format(then="raise ExceptionGroup('many', [error, OSError('disk')])"),
        "ExceptionGroup",
        "many (2 sub-exceptions)",
        5,
    ),
    "a __str__ that raises": (
        FILE.format(then="raise Mute() from None"),
        "Mute",
        "<exception str() failed>",
        1,
    ),
    "raised from itself": (FILE.format(then="raise error from error"), "ValueError", "the label", 3),
    "raised from what it is the cause of": (
        FILE.format(then="error.__cause__ = KeyError('x'); raise error.__cause__ from error"),
        "KeyError",
        "'x'",
        3,
    ),
    "a message": (FILE.format(then="sys.exit('no data')"), "SystemExit", "no data", 3),
    "a code": (FILE.format(then="sys.exit(2)"), "SystemExit", "sys.exit(2) was called", 3),
    "a code without words": (
        FILE.format(then="sys.exit(Mute())"),
        "SystemExit",
        "<exception str() failed>",
        1,
    ),
    "at import": ("import sys\nsys.exit()\n", "SystemExit", "sys.exit() was called", 1),
    "Ctrl-C": (FILE.format(then="raise KeyboardInterrupt from None"), "KeyboardInterrupt", "", 1),
    "a syntax error": ("def train(run):\n    return (1\n", "SyntaxError", "'(' was never closed", 1),
    "an import that fails": ("import no_such_library\n", "ModuleNotFoundError", "No module named", 1),
}


@pytest.mark.parametrize(("text", "kind", "message", "frames"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_failure_shows_the_users_frames_and_nobody_elses(failure, text, kind, message, frames):
    told = failure(text)
    assert (told.rank, told.kind, told.exit_code) == (1, kind, Exit.USER_CODE)
    assert message in told.message
    files = [line for line in told.traceback.splitlines() if line.lstrip(" |").startswith("File ")]
    assert len(files) == frames
    assert all("broken_" in line for line in files)


def test_a_syntax_error_shows_its_line_and_its_place(failure):
    assert "    return (1\n           ^\nSyntaxError" in failure("def train(run):\n    return (1\n").traceback


def test_a_frame_of_ours_below_the_users_is_left_out(failure):
    text = "from trainjobs.api.manifest import parse\ndef train(run):\n    parse({'kind': run.nothing})\n"
    below = "from trainjobs.stopping import Observation\ndef train(run):\n    Observation.from_dict({})\n"
    for one in (text, below):
        assert failure(one).traceback.count("File ") == 1


def test_an_error_of_ours_keeps_its_frames(tmp_path):
    with pytest.raises(AttributeError) as caught:
        failure_of(None, 0, None)
    ours = caught.value.with_traceback(caught.tb.tb_next)
    assert "failures.py" in failure_of(ours, 0, tmp_path).traceback


def test_a_long_message_is_cut_and_says_so(failure):
    told = failure("def train(run):\n    raise ValueError('begin' + 'x' * 50_000 + 'end')\n")
    for text in (told.message, told.traceback):
        assert len(text) < LONGEST_TEXT + 100
        assert "characters are left out here" in text
        assert text.rstrip().endswith("end")
    assert told.message.startswith("begin")
    assert told.traceback.startswith("Traceback")


def test_a_recursion_without_end_is_short(failure):
    told = failure("def train(run):\n    train(run)\n")
    assert told.kind == "RecursionError"
    assert len(told.traceback) < 2000
