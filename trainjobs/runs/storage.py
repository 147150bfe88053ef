"""Where checkpoints live: a local directory, or any URI that Ray's storage takes.

A file appears under its name complete or not at all. Locally that is a temporary name, `fsync` and a rename. An
object store makes an object visible when its upload ends, so it is written to under the name itself: a rename there
is a copy of the whole object, which some refuse above a size. Other remote file systems rename.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from trainjobs.exits import ConfigError, DataError, NoPermission, StorageError, UserError

TEMPORARY_SUFFIX = ".tmp"
CHECKPOINTS = "checkpoints"
"""The folder of a run's checkpoints."""
CHECKPOINT = re.compile(r"(?:epoch-(\d{5,})-)?step-(\d{8,})-report-(\d{5,})(?:-(\d+))?\.pt")
"""The name of a checkpoint: its place in the run, and a number where the best one has that place already."""
OBJECT_STORES = frozenset({"s3", "s3a", "gcs", "gs", "abfs", "abfss", "az", "oss", "oci"})
"""File systems, as pyarrow and fsspec name them, of which an upload that does not end leaves nothing."""
BEST = re.compile(r"best-report-(\d{5,})\.pt")
"""The name of a file that holds the weights of the best report alone, where no checkpoint has them."""
_NO_FILE = {errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.ENOTDIR}
"""What opening says of a link that leads nowhere, a socket, a device or a directory."""


class CheckpointStorage(Protocol):
    """A flat place for files. Names may hold one `/`; listings leave out temporary names.

    Trouble with the storage itself is a StorageError or NoPermission. `open` raises DataError where no file has that
    name, but perhaps a directory, a pipe, or a link that leads nowhere.
    """

    uri: str

    def write(self, name: str, fill: Callable[[IO[bytes]], object]) -> None: ...
    def open(self, name: str) -> IO[bytes]: ...
    def names(self, folder: str) -> list[str]: ...
    def delete(self, name: str) -> None: ...


class RemoteFile(io.RawIOBase):
    """An open file. That the disk or the network fails is told apart from what a parser may find in the bytes.

    A parser such as zipfile takes an OSError for a damaged file; a StorageError passes through it.
    """

    def __init__(self, file: Any, place: str) -> None:
        self._file = file
        self._place = place

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._file.readinto(buffer))
        except OSError as error:
            raise explained(error, self._place) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return int(self._file.seek(offset, whence))
        except ValueError as error:  # pyarrow's, where files of the system say EINVAL
            raise OSError(errno.EINVAL, str(error)) from error

    def tell(self) -> int:
        return int(self._file.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


class LocalStorage:
    """A directory of this machine, or one that every node mounts at the same path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.uri = str(root)

    def write(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write through a temporary name.

        Raises:
            StorageError: nothing was left behind, and what was there before is untouched.
        """
        target = self._root / name
        temporary = target.with_name(target.name + TEMPORARY_SUFFIX)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_directory(target.parent)
        except (OSError, RuntimeError) as error:
            raise explained(error, f"{self.uri}/{name}") from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def open(self, name: str) -> IO[bytes]:
        try:
            # without O_NONBLOCK a pipe would wait for a writer
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise _unopened(error, f"{self.uri}/{name}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise DataError(f"{self.uri}/{name} is not a file")
        return io.BufferedReader(RemoteFile(io.FileIO(descriptor), f"{self.uri}/{name}"))

    def names(self, folder: str) -> list[str]:
        directory = self._root / folder
        try:
            found = sorted(os.listdir(directory))  # noqa: PTH208 - asks once, and says what went wrong
        except FileNotFoundError:
            return []
        except OSError as error:
            raise explained(error, str(directory)) from error
        return [name for name in found if not name.endswith(TEMPORARY_SUFFIX)]

    def delete(self, name: str) -> None:
        try:
            (self._root / name).unlink(missing_ok=True)
        except IsADirectoryError:
            pass  # it is not ours
        except OSError as error:
            raise explained(error, f"{self.uri}/{name}") from error


class RemoteStorage:
    """A bucket or another file system behind a URI, through pyarrow, or fsspec where pyarrow has no scheme for it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.partition("?")[0].rstrip("/")
        self._filesystem, self._root = _filesystem(uri.rstrip("/"))

    def write(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write in one go, or through a temporary name. Raises StorageError or NoPermission."""
        target = f"{self._root}/{name}"
        try:
            if self._is_object_store:
                self._put(target, fill)
            else:
                self._write_and_rename(target, fill)
        except (OSError, RuntimeError) as error:
            raise explained(error, f"{self.uri}/{name}") from error

    @property
    def _is_object_store(self) -> bool:
        return not OBJECT_STORES.isdisjoint(re.findall(r"\w+", self._filesystem.type_name))

    def _put(self, target: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Upload. Where only filling failed, the part until there has become an object: it is taken away again."""
        try:
            with self._filesystem.open_output_stream(target) as stream:
                fill(stream)
        except BaseException as error:
            if not _is_of_system(error):
                with suppress(OSError):
                    self._filesystem.delete_file(target)
            raise

    def _write_and_rename(self, target: str, fill: Callable[[IO[bytes]], object]) -> None:
        temporary = target + TEMPORARY_SUFFIX
        try:
            self._filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            with self._filesystem.open_output_stream(temporary) as stream:
                fill(stream)
            self._filesystem.move(temporary, target)
        except BaseException:
            with suppress(OSError):
                self._filesystem.delete_file(temporary)
            raise

    def open(self, name: str) -> IO[bytes]:
        try:
            file = self._filesystem.open_input_file(f"{self._root}/{name}")
        except OSError as error:
            raise _unopened(error, f"{self.uri}/{name}") from error
        return io.BufferedReader(RemoteFile(file, f"{self.uri}/{name}"))

    def names(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(f"{self._root}/{folder}", allow_not_found=True)
        try:
            infos = self._filesystem.get_file_info(selector)
        except OSError as error:
            raise explained(error, f"{self.uri}/{folder}") from error
        found = sorted(info.base_name for info in infos if info.type == FileType.File)
        return [name for name in found if not name.endswith(TEMPORARY_SUFFIX)]

    def delete(self, name: str) -> None:
        try:
            self._filesystem.delete_file(f"{self._root}/{name}")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise explained(error, f"{self.uri}/{name}") from error


def storage_at(uri: str) -> CheckpointStorage:
    """The storage behind a path (`/data/run`), a `file://` URI, or a remote URI (`s3://bucket/run`)."""
    root = local_root(uri)
    return RemoteStorage(uri) if root is None else LocalStorage(root)


def local_root(uri: str) -> Path | None:
    """The directory of this machine that a path or a `file://` URI names; None for a remote one."""
    parts = urlsplit(uri)
    if parts.scheme in {"", "file"}:
        return Path(parts.path if parts.scheme else uri).absolute()
    return None


def _filesystem(uri: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        filesystem, root = FileSystem.from_uri(uri)
    except ValueError:
        filesystem, root = None, ""
    if filesystem is not None:
        return filesystem, root
    import fsspec

    try:
        found, root = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"spec.checkpoint.storage.uri: {uri}: {error}; use a path, s3://, gs:// or another scheme fsspec knows"
        ) from error
    return PyFileSystem(FSSpecHandler(found)), root


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explained(error: BaseException, place: str) -> UserError:
    """What went wrong in the words of whoever has to mend it."""
    code = _errno(error)
    if code in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageError(
            f"{place}: no space left; any earlier checkpoint is intact. Free some space or lower "
            "spec.checkpoint.keep, then run again with --resume"
        )
    if code in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return NoPermission(
            f"{place}: not permitted for user id {os.getuid()}; give it write permission or choose another "
            "spec.checkpoint.storage"
        )
    return StorageError(f"{place}: {error}")


def _unopened(error: OSError, place: str) -> UserError:
    if error.errno in _NO_FILE:
        return DataError(f"{place} is not a file: {os.strerror(error.errno)}")
    return explained(error, place)


def _errno(error: BaseException) -> int | None:
    """The operating system's number, if there is one."""
    numbers = (one.errno for one in _behind(error) if isinstance(one, OSError))
    return next((number for number in numbers if number is not None), None)


def _is_of_system(error: BaseException) -> bool:
    return any(isinstance(one, OSError) for one in _behind(error))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came of, each once: torch's writer wraps the system's in one of its own."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
