"""What a Ray that we start leaves on this machine."""

import os

import pytest

from trainjobs.driver.ray_internals.node import sessions
from trainjobs.driver.ray_local import keep_token_private, remove_session


@pytest.fixture
def temp(tmp_path, monkeypatch):
    """Where Ray keeps its sessions."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray"


def session(temp, pid):
    directory = temp / f"session_2026-11-27_16-06-13_191425_{pid}"
    (directory / "logs").mkdir(parents=True)
    return directory


def test_sessions_are_those_of_this_process(temp):
    ours = session(temp, os.getpid())
    session(temp, os.getpid() + 1)
    session(temp, f"1{os.getpid()}")
    assert sessions() == {ours}


def test_a_session_is_removed_with_the_link_to_it(temp):
    ours = session(temp, 7)
    (temp / "session_latest").symlink_to(ours)
    remove_session(ours)
    assert list(temp.iterdir()) == []


def test_what_another_ray_has_is_left(temp):
    ours, other = session(temp, 7), session(temp, 8)
    (temp / "session_latest").symlink_to(other)
    remove_session(ours)
    assert sorted(temp.iterdir()) == [other, temp / "session_latest"]


@pytest.mark.parametrize("mode", [None, 0o755, 0o777, 0o700])
def test_no_other_user_reaches_the_token_of_ray(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / ".ray"
    if mode is not None:
        directory.mkdir()
        directory.chmod(mode)
    keep_token_private()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_home_in_which_nothing_can_be_made_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    keep_token_private()
