"""One run directory, one run at a time: whoever holds it is named, and nobody holds it after their end."""

import fcntl
import os
import subprocess
import sys
import threading

import pytest

from trainjobs.exits import CannotCreate, DataError, NoInput, StorageError
from trainjobs.runs import lock
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.lock import PROBE_SECONDS, Lock

HOLD = """
import sys
from pathlib import Path
from trainjobs.runs.directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path):
    made = RunDirectory(tmp_path / "runs" / "mnist")
    made.create()
    return made


@pytest.fixture
def other_process(place):
    """A process that holds the directory until its standard input closes."""
    command = [sys.executable, "-c", HOLD, str(place.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_processes_never_train_in_one_directory(place, other_process):
    with pytest.raises(CannotCreate, match=f"in use by process {other_process.pid};"), place.hold():
        pytest.fail("held twice")
    assert place.holder() == other_process.pid


def test_who_has_patience_waits_for_a_process_that_ends(place, other_process):
    ending = threading.Timer(2 * PROBE_SECONDS, other_process.kill)
    ending.start()
    with place.hold(60):
        assert not ending.is_alive()
        assert place.holder() == os.getpid()


def test_a_killed_process_holds_nothing(place, other_process):
    other_process.kill()
    other_process.wait()
    assert place.holder() is None
    with place.hold():
        assert place.holder() == os.getpid()
    assert place.holder() is None


def test_one_process_cannot_hold_twice_either(place):
    with (
        place.hold(),
        pytest.raises(CannotCreate, match=f"process {os.getpid()};"),
        RunDirectory(place.path).hold(),
    ):
        pytest.fail("held twice")


def test_a_directory_moved_aside_while_held_can_be_begun_anew(place):
    with place.hold():
        place.move_aside()
        with place.hold():
            assert place.holder() == os.getpid()


def test_the_lock_of_a_run_that_is_only_looked_at_is_waited_for(tmp_path):
    """`holder` takes the lock for a moment, which must not refuse whoever begins a run in it."""
    path = tmp_path / "lock"
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        after = threading.Timer(PROBE_SECONDS / 4, fcntl.flock, (file, fcntl.LOCK_UN))
        after.start()
        with Lock(path).hold():
            assert path.read_text() == f"{os.getpid()}\n"
        after.join()


@pytest.mark.parametrize(
    ("written", "told"),
    [("123\n", 123), ("", 0), ("-5", 0), ("a line", 0), ("7" * 300, int("7" * 20)), ("\0", 0)],
)
def test_whatever_is_in_a_lock_that_is_held_names_a_process_or_none(tmp_path, written, told):
    path = tmp_path / "lock"
    path.write_text(written)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Lock(path).holder() == told
    assert Lock(path).holder() is None


def test_a_process_id_that_a_former_holder_left_is_written_over(tmp_path):
    path = tmp_path / "lock"
    path.write_text("9" * 15)
    with Lock(path).hold():
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, StorageError),
        (lambda path: path.symlink_to("none/lock"), NoInput),
        (lambda path: path.symlink_to("/dev/null"), DataError),
    ],
)
def test_what_is_no_lock_is_named(tmp_path, make, kind):
    path = tmp_path / "lock"
    make(path)
    with pytest.raises(kind, match="lock: "), Lock(path).hold():
        pytest.fail("held")
    assert Lock(path).holder() is None


@pytest.mark.parametrize("anew", [False, True])
def test_a_lock_whose_directory_was_moved_aside_meanwhile_is_not_held(tmp_path, monkeypatch, anew):
    """Another process moves the directory, and may begin it anew, between our opening of the file and our lock."""
    path = tmp_path / "lock"

    def moved(*_):
        path.rename(tmp_path / "aside")
        if anew:
            path.touch()
        return True

    monkeypatch.setattr(lock, "_taken_within", moved)
    with pytest.raises(CannotCreate, match="in use by process"), Lock(path).hold():
        pytest.fail("held")
    assert (tmp_path / "aside").read_text() == ""


def test_who_only_looks_at_a_lock_is_no_holder_to_another_who_looks(tmp_path):
    path = tmp_path / "lock"
    path.write_text("123\n")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert Lock(path).holder() is None
