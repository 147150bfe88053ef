"""Whoever opens what is no file by the name of one is told at once, and keeps nothing open."""

import os
from pathlib import Path

import pytest

from trainjobs.exits import DataError
from trainjobs.runs.regular import opened, require


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


def count_open():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("link", [False, True])
def test_a_file_or_a_link_to_one_is_read(path, tmp_path, link):
    (tmp_path / "real").write_bytes(b"line\n")
    path.symlink_to("real") if link else path.hardlink_to(tmp_path / "real")
    with opened(path) as file:
        assert file.read() == b"line\n"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_damage_named_at_once(path, make):
    make(path)
    before = count_open()
    with pytest.raises(DataError, match=r"history\.jsonl: damaged, it is not a file"):
        opened(path)
    assert count_open() == before


def test_a_file_that_is_not_there_is_the_systems_own_error(path):
    with pytest.raises(FileNotFoundError):
        opened(path)


def test_what_is_open_already_is_asked_too(path):
    read, write = os.pipe()
    try:
        with pytest.raises(DataError, match=r"history\.jsonl: damaged"):
            require(read, path)
    finally:
        os.close(read)
        os.close(write)
