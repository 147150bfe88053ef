"""A file is there whole or not at all, and what went wrong is said in words."""

import io
import os
from contextlib import contextmanager

import pytest

from trainjobs.exits import DataError, NoPermission, StorageError
from trainjobs.runs import storage as storages
from trainjobs.runs.storage import LocalStorage, RemoteStorage, storage_at


@pytest.fixture(params=["local", "fsspec"])
def storage(request, tmp_path):
    return LocalStorage(tmp_path) if request.param == "local" else RemoteStorage(f"local://{tmp_path}")


def half(error):
    def fill(file):
        file.write(b"half")
        raise error

    return fill


def raised_from_itself():
    ring = RuntimeError("a state_dict that says `raise error from error`")
    ring.__cause__ = ring
    return ring


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(28, "full"), StorageError),
        (raised_from_itself(), StorageError),
        (DataError("a"), DataError),
        (KeyboardInterrupt(),) * 2,
    ],
)
def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside_it(storage, tmp_path, error, seen):
    storage.write("a/b", lambda file: file.write(b"before"))
    with pytest.raises(seen if isinstance(seen, type) else type(seen)):
        storage.write("a/b", half(error))
    assert (tmp_path / "a" / "b").read_bytes() == b"before"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


class Upload(io.BytesIO):
    """An object appears when its upload ends, also when that is early."""

    def __init__(self, objects, name):
        super().__init__()
        self._objects, self._name = objects, name

    def close(self):
        if not self.closed:
            self._objects[self._name] = self.getvalue()
        super().close()


class Bucket:
    """Stands in for an object store: it has no renaming, only a copy of the whole object, which has a largest size."""

    def __init__(self, type_name):
        self.type_name = type_name
        self.objects = {}

    def create_dir(self, path, *, recursive):
        raise OSError("a bucket has no folders")

    def open_output_stream(self, path):
        return Upload(self.objects, path)

    def delete_file(self, path):
        if self.objects.pop(path, None) is None:
            raise FileNotFoundError(path)


@pytest.fixture(params=["s3", "gcs", "abfs", "py::fsspec+s3", "py::fsspec+('gs', 'gcs')"])
def bucket(request, monkeypatch):
    found = Bucket(request.param)
    monkeypatch.setattr(storages, "_filesystem", lambda uri: (found, "runs"))
    return found


def test_an_object_store_is_written_to_once_under_the_right_name(bucket):
    RemoteStorage("s3://runs").write("a/b", lambda file: file.write(b"content"))
    assert bucket.objects == {"runs/a/b": b"content"}


@pytest.mark.parametrize("error", [DataError("a"), KeyboardInterrupt()])
def test_an_object_that_was_begun_and_not_finished_is_taken_away(bucket, error):
    with pytest.raises(type(error)):
        RemoteStorage("s3://runs").write("a/b", half(error))
    assert bucket.objects == {}


def test_a_path_and_a_file_uri_are_this_machines_and_every_other_file_system_renames(tmp_path):
    assert isinstance(storage_at(str(tmp_path)), LocalStorage)
    assert isinstance(storage_at(f"file://{tmp_path}"), LocalStorage)
    storage = storage_at(f"local://{tmp_path}")

    def names():
        return " ".join(path.name for path in (tmp_path / "a").iterdir())

    storage.write("a/b", lambda file: file.write(names().encode()))
    assert (tmp_path / "a" / "b").read_text() == "b.tmp"


def test_what_was_written_is_listed_read_and_deleted(storage):
    assert storage.names("a") == []
    storage.write("a/b", lambda file: file.write(b"content"))
    with storage.open("a/b") as file:
        assert file.read() == b"content"
    assert storage.names("a") == ["b"]
    storage.delete("a/b")
    storage.delete("a/b")
    assert storage.names("a") == []


def test_a_name_without_a_file_is_no_trouble_of_the_storage(storage):
    with pytest.raises(DataError, match="nothing is not a file: No such file"):
        storage.open("nothing")


def test_a_directory_is_not_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder is not a file"):
        LocalStorage(tmp_path).open("folder")


def test_what_may_not_be_read_names_itself(tmp_path):
    tmp_path.joinpath("a").write_bytes(b"secret")
    tmp_path.joinpath("a").chmod(0)
    with as_nobody(), pytest.raises(NoPermission, match="a: not permitted for user id"):
        LocalStorage(tmp_path).open("a")


@contextmanager
def as_nobody():
    """Root may read every file."""
    uid = os.geteuid()
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(StorageError, match="Not a directory"):
        LocalStorage(tmp_path).names("a")


def test_a_place_that_may_not_be_written_names_itself_and_the_remedy():
    with pytest.raises(NoPermission, match=r"/proc/.*choose another spec.checkpoint.storage"):
        LocalStorage(storage_at("/proc/1/fdinfo")._root).write("x/y", lambda _: None)


def test_a_storage_names_its_place_without_the_way_to_it():
    """The way may hold a secret, and files are below the place."""
    storage = RemoteStorage("s3://bucket/runs/a?region=us-east-1&endpoint_override=127.0.0.1:9")
    assert (storage.uri, storage._root) == ("s3://bucket/runs/a", "bucket/runs/a")


def test_a_uri_of_an_unknown_kind_is_refused_with_the_field():
    with pytest.raises(Exception, match=r"spec\.checkpoint\.storage\.uri: floppy://a"):
        storage_at("floppy://a")
