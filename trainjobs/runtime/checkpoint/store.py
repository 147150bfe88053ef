"""Checkpoints: what one holds, how it is written, which one a run resumes from.

A checkpoint is one file, `checkpoints/epoch-00003-step-00000120-report-00002.pt`, so that it is there whole or not at
all; after some thousand reports it also names the files that hold most of the history (`segments`). It holds the
tracked objects, the position, the history, and of every rank the random number generators and the sums logged since
the last report. It is read with `weights_only=True`: loading a checkpoint runs no code.

The weights of the best report are those of a checkpoint, as a rule. Where the report came at no place to resume from,
they are a file of their own, `checkpoints/best-report-00002.pt`.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import IO, Any

import torch

from trainjobs.exits import DataError, UserError
from trainjobs.runs.storage import BEST, CHECKPOINT, CHECKPOINTS, Storage
from trainjobs.runtime.checkpoint import readback
from trainjobs.runtime.checkpoint.segments import Segments
from trainjobs.stopping import Observation

FORMAT = 2
_PROBE = "writable"
_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "bool": (bool,), "float": (float, int), "str": (str,)}


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the run a checkpoint was taken: `batch` steps of epoch `epoch` are done, `reported` after its report."""

    epoch: int
    step: int
    batch: int
    reported: bool
    seconds: float
    steps_over: bool = False
    """The steps of this epoch are done, also where its loop was left early."""


@dataclass(frozen=True, slots=True)
class BestCheckpoint:
    """Which file holds the weights of the best report so far. `report` counts from 1 over the whole history."""

    name: str
    report: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on the storage, by its name; neither steps nor reports need move between two of them."""

    name: str
    epoch: int | None
    """None in the names of an older format."""
    step: int
    reports: int
    again: int
    """How many checkpoints of this place came before it and are kept, since they hold the best weights."""
    uri: str
    seconds: float = 0.0

    @property
    def order(self) -> tuple[int, ...]:
        return self.step, self.reports, self.epoch or 0, self.again


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checkpoint holds.

    `objects` maps the names given to `run.track` to state dicts; `ranks[r]` is what only rank r knows, states of its
    own among them; `best` is as of when it was written, itself included.
    """

    position: Position
    objects: MutableMapping[str, Any]
    history: Sequence[Observation]
    ranks: Sequence[Mapping[str, Any]]
    best: BestCheckpoint | None = None

    def seen_by(self, rank: int) -> Contents:
        """The same with this rank's own objects and buffers in place of rank 0's."""
        mine = self.ranks[rank]
        models = {name: {**self.objects[name], **own} for name, own in mine.get("buffers", {}).items()}
        return replace(self, objects={**self.objects, **models, **mine.get("objects", {})})


@dataclass(frozen=True, slots=True)
class Found:
    """The newest checkpoint that can be read, and why newer ones could not: a sentence for each."""

    saved: Saved
    contents: Contents
    passed_over: tuple[str, ...]


class Checkpoints:
    """The checkpoints of one run: the newest `keep` and the best, which may be weights alone.

    Make it once the training function is imported: a state may hold the types that are allowed by then
    (`torch.serialization.add_safe_globals`), since they will be again when the next process reads it.
    """

    def __init__(self, storage: Storage, keep: int) -> None:
        self.best: BestCheckpoint | None = None
        """Never deleted. Whoever resumes sets it, from what the checkpoint says."""
        self._storage = storage
        self._keep = keep
        self._segments = Segments(storage, CHECKPOINTS)
        self._allowed = torch.serialization.get_safe_globals()
        self._readable: dict[str, bool] = {}
        """What this process knows of checkpoints, because it wrote them or tried to read them."""

    def save(self, contents: Contents, best_report: int | None = None) -> Saved:
        """Write one, then delete older ones than the newest `keep` that can be read, but for the best.

        Args:
            contents: its `best` is not used, but that of these checkpoints.
            best_report: which report's weights this checkpoint holds, if they are the best so far.

        Raises:
            StorageError: the write failed; every earlier checkpoint is still there.
            DataError: a state could not be read back; nothing was written.
        """
        began = time.perf_counter()
        readback.check(_states(contents), self._allowed)
        saved = self._place(contents, best_report is not None)
        best = self.best if best_report is None else BestCheckpoint(saved.name, best_report)
        document = _document(contents, best) | {"history": self._segments.document(contents.history)}
        with _checksums():
            self._storage.write(f"{CHECKPOINTS}/{saved.name}", lambda file: torch.save(document, file))
        self.best = best
        self._readable[saved.name] = True
        self._prune()
        return self._saved(saved.name, time.perf_counter() - began)

    def save_best(self, report: int, states: Mapping[str, Any]) -> None:
        """Write the weights of the best report by themselves. The next checkpoint says so.

        Raises what `save` raises.
        """
        name = f"best-report-{report:05d}.pt"
        readback.check(_named(states), self._allowed)
        document = {"format": FORMAT, "report": report, "objects": dict(states)}
        with _checksums():
            self._storage.write(f"{CHECKPOINTS}/{name}", lambda file: torch.save(document, file))
        self.best = BestCheckpoint(name, report)

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return name in self._storage.names(CHECKPOINTS)

    def states_in(self, name: str) -> Mapping[str, Any]:
        """The states of the objects in a checkpoint, or of the models in what `save_best` wrote. Raises as `load`."""
        if not BEST.fullmatch(name):
            return self.load(self.named(name)).objects
        with self._opened(name) as file:
            document = _read(file, "cpu")
            _check_format(document["format"])
            return dict(_of(dict, document["objects"]))

    def check_writable(self) -> None:
        """Find out before training, not after the first epoch, that nothing can be written. Raises UserError."""
        self._storage.write(f"{CHECKPOINTS}/{_PROBE}", lambda file: file.write(b"trainjobs"))
        self._storage.delete(f"{CHECKPOINTS}/{_PROBE}")

    def all(self) -> list[Saved]:
        """What is named as a checkpoint, oldest first."""
        return self._among(self._storage.names(CHECKPOINTS))

    def latest(self) -> Found | None:
        """The newest checkpoint that can be read; None where there is none at all.

        Raises:
            DataError: there are checkpoints and none can be read. The run must not begin anew over them.
            StorageError: reading one failed, which says nothing of what it holds.
        """
        passed_over: list[str] = []
        for saved in reversed(self.all()):
            try:
                return Found(saved, self.load(saved), tuple(passed_over))
            except DataError as error:
                passed_over.append(str(error))
        if passed_over:
            raise DataError(
                f"{self._storage.uri}/{CHECKPOINTS}: there are checkpoints and none can be read: "
                f"{'; '.join(passed_over)}. Put one back that can, or begin anew with --fresh, which moves them aside "
                "with the run directory; checkpoints elsewhere (spec.checkpoint.storage) move away yourself"
            )
        return None

    def named(self, name: str) -> Saved:
        """The checkpoint of that name, as another rank found it."""
        return self._saved(name)

    def find(self, step: int, report: int) -> Saved | None:
        """What holds the weights of that report in a run whose checkpoints do not say it: an older format's."""
        return next(
            (
                saved
                for saved in self.all()
                if saved.epoch is None and saved.step == step and saved.reports >= report
            ),
            None,
        )

    def load(self, saved: Saved, device: torch.device | str = "cpu") -> Contents:
        """Read one.

        Raises:
            DataError: it is damaged, or another program or a newer version of this one wrote it.
            StorageError: reading failed.
        """
        try:
            contents = self._load(saved, device)
        except DataError:
            self._readable[saved.name] = False
            raise
        self._readable[saved.name] = True
        return contents

    def save_model(self, name: str, state: Mapping[str, Any]) -> str:
        """Write the final weights beside the checkpoints and return their URI."""
        self._storage.write(name, lambda file: torch.save(dict(state), file))
        return f"{self._storage.uri}/{name}"

    def _load(self, saved: Saved, device: torch.device | str) -> Contents:
        with self._opened(saved.name) as file:
            document = _read(file, device)
            contents = _contents(document, self._history)
            if not _is_named(contents, saved):
                raise ValueError(f"it holds the checkpoint of step {contents.position.step}")
            return contents

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        """A file whose bytes are as they were written; what a parser trips over in it is damage."""
        place = f"{CHECKPOINTS}/{name}"
        with self._storage.open(place) as file, _understood(f"{self._storage.uri}/{place}"):
            _check_bytes(file)
            yield file

    def _among(self, names: Sequence[str]) -> list[Saved]:
        """The checkpoints among these names, oldest first."""
        found = [self._saved(name) for name in names if CHECKPOINT.fullmatch(name)]
        return sorted(found, key=lambda saved: saved.order)

    def _history(self, document: Mapping[str, Any]) -> Sequence[Observation]:
        if document["format"] == 1:
            return tuple(Observation.from_dict(seen) for seen in document["history"])
        return self._segments.read(document["history"])

    def _place(self, contents: Contents, holds_best: bool) -> Saved:
        """Where it is to be written: not over the best, unless it is the new best."""
        position = contents.position
        place = f"epoch-{position.epoch:05d}-step-{position.step:08d}-report-{len(contents.history):05d}"
        if self.best is None or not self.best.name.startswith(place):
            return self._saved(f"{place}.pt")
        again = self._saved(self.best.name).again + (not holds_best)
        return self._saved(f"{place}-{again}.pt" if again else f"{place}.pt")

    def _prune(self) -> None:
        kept, names = 0, self._storage.names(CHECKPOINTS)
        over = [name for name in names if BEST.fullmatch(name)]
        for saved in reversed(self._among(names)):
            if kept < self._keep:
                kept += self._is_readable(saved.name)
            else:
                over.append(saved.name)
        for name in over:
            if self.best is None or name != self.best.name:
                self._storage.delete(f"{CHECKPOINTS}/{name}")

    def _is_readable(self, name: str) -> bool:
        """Of a checkpoint of another process: whether it is a file that was not torn. Its last bytes say so."""
        if name not in self._readable:
            try:
                with self._storage.open(f"{CHECKPOINTS}/{name}") as file:
                    self._readable[name] = zipfile.is_zipfile(file)
            except UserError:
                self._readable[name] = False
        return self._readable[name]

    def _saved(self, name: str, seconds: float = 0.0) -> Saved:
        match = CHECKPOINT.fullmatch(name)
        assert match is not None, name  # noqa: S101 - names come from save() or passed the same pattern
        epoch, step, reports, again = (None if group is None else int(group) for group in match.groups())
        return Saved(
            name,
            epoch,
            step or 0,
            reports or 0,
            again or 0,
            f"{self._storage.uri}/{CHECKPOINTS}/{name}",
            seconds,
        )


def packed(mine: Mapping[str, Any]) -> bytes:
    """What only one rank knows, on its way to rank 0."""
    buffer = io.BytesIO()
    torch.save(dict(mine), buffer)
    return buffer.getvalue()


def unpacked(piece: bytes, rank: int) -> dict[str, Any]:
    """What `packed` packed on that rank. Raises DataError if it held what cannot be read back."""
    try:
        mine: dict[str, Any] = torch.load(io.BytesIO(piece), weights_only=True)
    except Exception as error:
        raise DataError(
            f"rank {rank}: its state could not be read back: {readback.sentence(error)}"
        ) from error
    return mine


def _states(contents: Contents) -> dict[str, Any]:
    return _named(contents.objects) | {f"rank {rank}": state for rank, state in enumerate(contents.ranks)}


def _named(objects: Mapping[str, Any]) -> dict[str, Any]:
    return {f"tracked object '{name}'": state for name, state in objects.items()}


def _document(contents: Contents, best: BestCheckpoint | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "position": asdict(contents.position),
        "objects": dict(contents.objects),
        "ranks": [dict(rank) for rank in contents.ranks],
        "best": best and asdict(best),
    }


def _check_bytes(file: IO[bytes]) -> None:
    """Compare the file's checksums, which torch writes but does not read. Raises ValueError or BadZipFile."""
    with zipfile.ZipFile(file) as archive:
        if (torn := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {torn} is wrong")
    file.seek(0)


def _read(file: IO[bytes], device: torch.device | str) -> dict[str, Any]:
    document: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return document


def _contents(
    document: Mapping[str, Any], history: Callable[[Mapping[str, Any]], Sequence[Observation]]
) -> Contents:
    _check_format(document["format"])
    best = document.get("best")
    return Contents(
        position=_record(Position, document["position"]),
        objects=_of(dict, document["objects"]),
        history=history(document),
        ranks=[_of(dict, rank) for rank in _of(list, document["ranks"])],
        best=None if best is None else _record(BestCheckpoint, best),
    )


def _check_format(number: object) -> None:
    if type(number) is not int or number < 1:
        raise ValueError(f"its format is {number!r}")
    if number > FORMAT:
        raise DataError(
            f"a newer version of trainjobs wrote it (format {number}, this version reads 1 to {FORMAT})"
        )


def _record(kind: Any, document: Mapping[str, Any]) -> Any:
    """The dataclass `kind` of these fields, if they are of its types."""
    record = kind(**document)
    for field in fields(kind):
        _of(_KINDS[str(field.type)], getattr(record, field.name))
    return record


def _of(kind: type | tuple[type, ...], value: Any) -> Any:
    if type(value) not in (kind if isinstance(kind, tuple) else (kind,)):
        raise TypeError(f"it holds a {type(value).__name__} where none can be")
    return value


def _is_named(contents: Contents, saved: Saved) -> bool:
    position = contents.position
    same_epoch = saved.epoch is None or saved.epoch == position.epoch
    return same_epoch and (position.step, len(contents.history)) == (saved.step, saved.reports)


@contextmanager
def _understood(uri: str) -> Iterator[None]:
    """Whatever a parser trips over is damage; the storage speaks of its own trouble by itself."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{uri}: {error}") from error
    except UserError:
        raise
    except Exception as error:
        raise DataError(f"{uri} is damaged: {readback.sentence(error)}") from error


@contextmanager
def _checksums() -> Iterator[None]:
    """Write them even where the user's code turned them off for its own files."""
    wanted = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(wanted)
