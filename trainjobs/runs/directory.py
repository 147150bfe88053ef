"""The run directory: everything a run leaves behind, and all that `explain` and a resume need.

    trainjob.yaml     the manifest, with its overrides applied
    history.jsonl     one observation a line
    events.jsonl      one event a line with its unix `time`, all but `Progress`
    decisions.jsonl   one decision a line
    result.json       how it ended; absent while the run is under way
    checkpoints/      the newest checkpoints
    storage-folder    where they are in `spec.checkpoint.storage.uri`, when that is set
    model.pt          the weights at the end (the best ones with `restoreBest`)
    tensorboard/      event files, where TensorBoard is installed
    mlflow-run-id     what MLflow calls the run; also wandb-run-id, with W&B's own wandb/
    driver.log        where an error of the driver itself was raised
    lock              held by the process that trains here

Whole files are written under a temporary name and renamed, so a reader never sees half of one. Lines are
appended; a last line without its end, left by a crash, is passed over by readers and cut off by the next writer.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainjobs.api.reasons import ConditionType
from trainjobs.coordination.decision import Decision
from trainjobs.exits import CannotCreate, DataError, NoInput, user_error
from trainjobs.runs.codec import EVENTS, dated, jsonable
from trainjobs.runs.events import Decided, Event, Progress, Reported, Started
from trainjobs.runs.lock import PROBE_SECONDS, Lock
from trainjobs.runs.regular import opened, require
from trainjobs.stopping import Observation

if TYPE_CHECKING:
    from trainjobs.api import TrainJob

LONGEST = 2**28
"""Bytes of a line or a small file; the longest line is that of a resume, with its history."""
_ONLY_A_RUN_HAS = frozenset({"lock", "events.jsonl"})
_STORAGE_FOLDER = "storage-folder"
_LEFT_BY_A_CRASH = re.compile(rf"{_STORAGE_FOLDER}|\.(trainjob\.yaml|{_STORAGE_FOLDER})\.\d+\.tmp")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run's directory at `path`, which need not exist yet."""

    path: Path

    @property
    def manifest(self) -> Path:
        """The manifest the run follows."""
        return self.path / "trainjob.yaml"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie when the manifest names no other storage."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The weights at the end."""
        return self.path / "model.pt"

    def exists(self) -> bool:
        """Whether a run was ever begun here.

        Raises:
            DataError, NoPermission, StorageError: see `is_file`.
        """
        return is_file(self.manifest)

    def check_ours(self) -> None:
        """Refuse a directory that holds files and no run. Raises CannotCreate.

        A manifest alone is no run: it may be the one that somebody wrote, beside their training code.
        """
        names = {name for name in self.names() if not _LEFT_BY_A_CRASH.fullmatch(name)}
        begun = self.manifest.name in names and not names.isdisjoint(_ONLY_A_RUN_HAS)
        if names - {"lock"} and not begun:
            raise CannotCreate(
                f"{self.path}: holds files and is no run directory, so nothing is written there or moved; "
                "name another --run-dir"
            )

    def finished(self) -> bool:
        """Whether the run is complete, so that starting it again would not train."""
        return any(
            condition.get("type") == ConditionType.COMPLETE and condition.get("status") == "True"
            for condition in (self.result() or {}).get("conditions", ())
        )

    def job(self) -> "TrainJob":
        """The manifest of the run. Raises NoInput where no run was begun, SpecError when it is damaged."""
        from trainjobs.api.manifest import load

        if not self.exists():
            raise NoInput(self._not_a_run())
        try:
            return load(self.manifest)
        except OSError as error:
            raise user_error(error, f"reading {self.manifest}") from error

    def history(self) -> tuple[Observation, ...]:
        """Every observation so far. Raises DataError naming the line that cannot be read."""
        return tuple(parsed_lines(self.path / "history.jsonl", Observation.from_dict))

    def events(self) -> tuple[Event, ...]:
        """Everything that happened, in order. Raises DataError naming the line that cannot be read."""
        return tuple(parsed_lines(self.path / "events.jsonl", EVENTS.from_dict))

    def decisions(self) -> tuple[dict[str, Any], ...]:
        """Every decision as `Decision.to_dict` wrote it. Raises DataError."""
        return tuple(parsed_lines(self.path / "decisions.jsonl", dict))

    def result(self) -> dict[str, Any] | None:
        """How the run ended; None while it has not. Raises DataError when the file is damaged."""
        return read_result(self.path / "result.json", _is_result)

    def storage_folder(self) -> str | None:
        """The folder below the storage's URI that is this run's; None where nobody has chosen one."""
        path = self.path / _STORAGE_FOLDER
        if (text := _content(path)) is None:
            return None
        if not (folder := text.decode(errors="replace").strip()).isprintable() or "/" in folder:
            raise DataError(f"{path}: damaged, not the name of a folder")
        return folder or None

    def write_storage_folder(self, name: str) -> None:
        """Choose the folder below the storage's URI."""
        write_whole(self.path / _STORAGE_FOLDER, f"{name}\n")

    def holder(self) -> int | None:
        """The process that trains here now; None when nobody does."""
        return Lock(self.path / "lock").holder()

    @contextmanager
    def hold(self, patience_s: float = PROBE_SECONDS) -> Iterator[None]:
        """Make the directory and keep every other process from training here. Raises CannotCreate.

        Args:
            patience_s: how long to wait for another process to leave.
        """
        self.create()
        with Lock(self.path / "lock").hold(patience_s):
            yield

    def create(self) -> None:
        """Make the directory where there is none. Raises CannotCreate or NoPermission."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            what = "a link that leads nowhere" if self.path.is_symlink() else "a file"
            raise CannotCreate(f"{self.path}: is {what}; name a directory with --run-dir") from error
        except NotADirectoryError as error:
            raise CannotCreate(
                f"{self.path}: a part of this path is a file; choose another --run-dir"
            ) from error
        except FileNotFoundError as error:
            raise CannotCreate(f"{self.path}: cannot be created here; choose another --run-dir") from error
        except OSError as error:
            raise user_error(error, f"creating {self.path}") from error

    def write_job(self, job: "TrainJob") -> None:
        """Keep the manifest."""
        from trainjobs.api.manifest import dump

        write_whole(self.manifest, dump(job))

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Say how the run ended."""
        document = json.dumps(jsonable(result), indent=2, allow_nan=False)
        write_whole(self.path / "result.json", document + "\n")

    def clear_result(self) -> None:
        """The run goes on: it has not ended any more."""
        (self.path / "result.json").unlink(missing_ok=True)

    def write_history(self, history: Iterable[Observation]) -> None:
        """Replace the history, as when a resume goes back to a checkpoint's."""
        write_whole(self.path / "history.jsonl", "".join(_line(seen.to_dict()) for seen in history))

    def append_observation(self, seen: Observation) -> None:
        """Add to the history."""
        append_line(self.path / "history.jsonl", seen.to_dict())

    def keep(self, event: Event, unix_time: float | None = None) -> None:
        """Add to the events, and to history and decisions what the event says of them."""
        match event:
            case Started():
                self.write_history(event.history)
            case Reported():
                self.append_observation(event.observation)
            case Decided():
                self.append_decision(event.decision)
        self.append_event(event, unix_time)

    def append_event(self, event: Event, unix_time: float | None = None) -> None:
        """Add to the events, with the time (now by default). `Progress` is not kept."""
        if not isinstance(event, Progress):
            append_line(self.path / "events.jsonl", dated(event, unix_time))

    def append_decision(self, decision: Decision) -> None:
        """Add to the decisions."""
        append_line(self.path / "decisions.jsonl", jsonable(decision.to_dict()))

    def names(self) -> list[str]:
        """What is in the directory; nothing where there is none. Raises NoPermission or StorageError."""
        try:
            return [path.name for path in self.path.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise user_error(error, f"reading {self.path}") from error

    def move_aside(self) -> Path:
        """Rename the directory to the first free `<name>.1`, `<name>.2`, … and return the new path.

        Raises CannotCreate for the directory that this process is in, or one around it: it would move along.
        """
        if Path.cwd().is_relative_to(self.path.resolve()):
            raise CannotCreate(f"{self.path}: is the current directory; leave it to move it aside")
        number = 1
        while os.path.lexists(aside := self.path.with_name(f"{self.path.name}.{number}")):
            number += 1
        try:
            return self.path.rename(aside)
        except OSError as error:
            raise user_error(error, f"moving {self.path} to {aside}") from error

    def _not_a_run(self) -> str:
        if not self.path.exists():
            return f"{self.path}: no such run directory; runs are kept under runs/<name> by default"
        return f"{self.path}: not a run directory (it holds no trainjob.yaml)"


def is_file(manifest: Path) -> bool:
    """Whether there is a manifest, and so a run or a sweep.

    Raises:
        DataError: something else than a file has its name.
        NoPermission, StorageError: nobody can tell.
    """
    try:
        mode = manifest.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise user_error(error, f"reading {manifest.parent}") from error
    if not stat.S_ISREG(mode):
        raise DataError(f"{manifest}: damaged, it is not a file; put the manifest back")
    return True


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    Raises StorageError (disk full) or NoPermission.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise user_error(error, f"writing {path}") from error


def append_line(path: Path, document: Mapping[str, Any]) -> None:
    """Append one JSON line; a torn last line is cut off first. Raises StorageError or NoPermission."""
    try:
        with path.open("a+b") as file:
            require(file.fileno(), path)
            _cut_torn_line(file.fileno())
            file.write(_line(document).encode())
    except OSError as error:
        raise user_error(error, f"writing {path}") from error


def _cut_torn_line(descriptor: int) -> None:
    end = size = os.fstat(descriptor).st_size
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(descriptor, end)


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"


def parsed_lines(path: Path, parse: Any) -> Iterator[Any]:
    """What each whole line of a file of JSON lines says; none where there is no file. Raises DataError naming a line
    that is damaged, and what `user_error` makes of OSError."""
    for number, line in enumerate(_whole_lines(path), start=1):
        yield parsed_line(line, parse, f"{path}:{number}")


def parsed_line(line: bytes, parse: Any, place: str) -> Any:
    """What a line of JSON says. Raises DataError naming its place."""
    try:
        return parse(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{place}: damaged line ({type(error).__name__}: {error})") from error


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        with opened(path) as file:
            while (line := file.readline(LONGEST)).endswith(b"\n"):
                yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
    if len(line) == LONGEST:
        raise DataError(f"{path}: damaged, a line has more than {LONGEST:,} bytes")


def read_result(path: Path, is_result: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
    """How a run or a sweep ended, from a file; None where there is none. Raises DataError when it is damaged."""
    if (text := _content(path)) is None:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged, not JSON ({error})") from error
    if not isinstance(document, dict) or not is_result(document):
        raise DataError(f"{path}: damaged, expected an object that says how it ended")
    return document


def _content(path: Path) -> bytes | None:
    """A small file's; None where there is none."""
    try:
        with opened(path) as file:
            content = file.read(LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise user_error(error, f"reading {path}") from error
    if len(content) == LONGEST:
        raise DataError(f"{path}: damaged, it has {LONGEST:,} bytes or more")
    return content


def _is_result(document: Mapping[str, Any]) -> bool:
    conditions = document.get("conditions", [])
    return isinstance(conditions, list) and all(isinstance(condition, dict) for condition in conditions)
