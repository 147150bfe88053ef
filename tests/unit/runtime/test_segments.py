"""A long history lies in files that are written once; a checkpoint names them and is told when one is not its own."""

import random

import pytest

from trainjobs.exits import DataError, StorageError
from trainjobs.runs.storage import LocalStorage, RemoteStorage
from trainjobs.runtime.checkpoint import columns, segments
from trainjobs.runtime.checkpoint.segments import SEGMENT, Segments
from trainjobs.stopping import Observation


def long(reports):
    chance = random.Random(reports)
    return tuple(Observation(n + 1, n * 10, n * 0.5, {"loss": chance.random()}) for n in range(reports))


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("history-*")}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "checkpoints"


@pytest.fixture(params=["local", "fsspec"])
def made(request, tmp_path):
    """Makes the files' owner anew, as each process does."""
    uri = tmp_path / "run"
    storage = LocalStorage(uri) if request.param == "local" else RemoteStorage(f"local://{uri}")
    return lambda: Segments(storage, "checkpoints")


@pytest.mark.parametrize(("reports", "count"), [(0, 0), (1, 0), (7, 0), (8, 1), (9, 1), (16, 2), (23, 2)])
def test_a_checkpoint_holds_what_fills_no_file_itself(made, folder, monkeypatch, reports, count):
    monkeypatch.setattr(segments, "SEGMENT", 8)
    document = made().document(long(reports))
    assert document["segments"] == sorted(files(folder))
    assert len(document["segments"]) == count
    assert len(columns.decoded(document["rest"])) == reports - 8 * count
    assert made().read(document) == long(reports)


def test_a_long_history_is_written_once_and_not_again_with_each_checkpoint(made, folder):
    history = long(2 * SEGMENT + 100)
    document = made().document(history)
    before = files(folder)
    assert len(before) == 2
    resumed = made()
    assert resumed.read(document) == history
    assert resumed.document(history)["segments"] == document["segments"]
    assert files(folder) == before


def test_a_history_that_went_another_way_after_a_damage_is_written_anew(made):
    history = long(2 * SEGMENT)
    first = made()
    older, newer = first.document(history[: SEGMENT + 5]), first.document(history)
    resumed = made()
    another = (*resumed.read(older), *long(SEGMENT))
    document = resumed.document(another)
    assert document["segments"][0] == newer["segments"][0]
    assert document["segments"][1] != newer["segments"][1]
    assert made().read(document) == another
    assert made().read(newer) == history


def test_another_history_of_the_same_length_is_not_taken_for_the_one_before(made, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT", 8)
    writer, other = made(), long(16)[8:]
    writer.document(long(8))
    assert made().read(writer.document(other)) == other


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, other: path.write_bytes(path.read_bytes().replace(b"loss", b"Loss")),
        lambda path, other: path.write_bytes(path.read_bytes()[:-1]),
        lambda path, other: path.write_bytes(b""),
        lambda path, other: path.write_bytes(other.read_bytes()),
    ],
    ids=["another byte", "torn", "empty", "another's"],
)
def test_a_file_that_is_not_the_one_that_was_meant_is_named(made, folder, monkeypatch, damage):
    monkeypatch.setattr(segments, "SEGMENT", 8)
    document = made().document(long(16))
    path, other = (folder / name for name in document["segments"])
    damage(path, other)
    with pytest.raises(DataError, match=f"{path.name} is damaged"):
        made().read(document)


def test_a_file_that_is_gone_is_no_history(made, folder, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT", 8)
    document = made().document(long(8))
    next(folder.glob("history-*")).unlink()
    with pytest.raises((DataError, StorageError), match="history-00000"):
        made().read(document)
