"""Checkpoints: what one holds, how it is written, which one a run resumes from.

A checkpoint is one file, `checkpoints/step-00000120-report-00002.pt`, so that it is there whole or not at all. It
holds the tracked objects, the position, the history, and of every rank the random number generators and the sums
logged since the last report. It is read with `weights_only=True`: loading a checkpoint runs no code.
"""

from __future__ import annotations

import pickle
import re
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import torch

from trainjobs.runtime.exits import DataError
from trainjobs.runtime.storage import Storage
from trainjobs.stopping import Observation

FOLDER = "checkpoints"
FORMAT = 1
_PROBE = "writable"
_NAME = re.compile(r"step-(\d{8,})-report-(\d{5,})\.pt")


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the run a checkpoint was taken: `batch` steps of epoch `epoch` are done, `reported` after its report."""

    epoch: int
    step: int
    batch: int
    reported: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on the storage."""

    name: str
    step: int
    reports: int
    uri: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checkpoint holds.

    `objects` maps the names given to `run.track` to state dicts; `ranks[r]` is what only rank r knows, states of its
    own among them.
    """

    position: Position
    objects: MutableMapping[str, Any]
    history: Sequence[Observation]
    ranks: Sequence[Mapping[str, Any]]

    def seen_by(self, rank: int) -> Contents:
        """The same with this rank's own objects in place of rank 0's."""
        return replace(self, objects={**self.objects, **self.ranks[rank].get("objects", {})})


class Checkpoints:
    """The checkpoints of one run: the newest `keep` and the best."""

    def __init__(self, storage: Storage, keep: int) -> None:
        self._storage = storage
        self._keep = keep
        self._verified = False

    def save(self, contents: Contents, best_step: int | None) -> Saved:
        """Write one, then delete those neither among the newest `keep` nor the best.

        Raises:
            StorageError: the write failed; every earlier checkpoint is still there.
            DataError: a tracked object's state cannot be read back.
        """
        began = time.perf_counter()
        name = f"step-{contents.position.step:08d}-report-{len(contents.history):05d}.pt"
        document = _document(contents)
        self._storage.write(f"{FOLDER}/{name}", lambda file: torch.save(document, file))
        saved = self._saved(name)
        if not self._verified:
            self._verify(saved)
        self._prune(best_step)
        return Saved(name, saved.step, saved.reports, saved.uri, time.perf_counter() - began)

    def check_writable(self) -> None:
        """Find out before training, not after the first epoch, that nothing can be written. Raises UserError."""
        self._storage.write(f"{FOLDER}/{_PROBE}", lambda file: file.write(b"trainjobs"))
        self._storage.delete(f"{FOLDER}/{_PROBE}")

    def all(self) -> list[Saved]:
        """The complete checkpoints, oldest first."""
        found = [self._saved(name) for name in self._storage.names(FOLDER) if _NAME.fullmatch(name)]
        return sorted(found, key=lambda saved: (saved.step, saved.reports))

    def latest(self) -> tuple[Saved | None, list[str]]:
        """The newest checkpoint that can be read, and the names of newer ones that cannot (damaged after writing)."""
        damaged = []
        for saved in reversed(self.all()):
            try:
                self.load(saved)
            except DataError:
                damaged.append(saved.name)
            else:
                return saved, damaged
        return None, damaged

    def named(self, name: str) -> Saved:
        """The checkpoint of that name, as another rank found it."""
        return self._saved(name)

    def at_step(self, step: int) -> Saved | None:
        """The checkpoint with the most reports at this step."""
        return next((saved for saved in reversed(self.all()) if saved.step == step), None)

    def load(self, saved: Saved, device: torch.device | str = "cpu") -> Contents:
        """Read one.

        Raises:
            DataError: the file is damaged, or another program wrote it.
        """
        try:
            with self._storage.open(f"{FOLDER}/{saved.name}") as file:
                return _contents(_read(file, device))
        except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            raise DataError(f"{saved.uri}: not a checkpoint of trainjobs: {_first_line(error)}") from error

    def save_model(self, name: str, state: Mapping[str, Any]) -> str:
        """Write the final weights beside the checkpoints and return their URI."""
        self._storage.write(name, lambda file: torch.save(dict(state), file))
        return f"{self._storage.uri}/{name}"

    def _verify(self, saved: Saved) -> None:
        """Read the first checkpoint back at once: that an object cannot be resumed must not come out at a resume."""
        try:
            self.load(saved)
        except DataError as error:
            self._storage.delete(f"{FOLDER}/{saved.name}")
            raise DataError(
                f"a tracked object's state cannot be read back: {_first_line(error.__cause__)}. Let its state_dict() "
                "hold only tensors, numbers, strings, lists and dicts, or allow its type with "
                "torch.serialization.add_safe_globals"
            ) from error
        self._verified = True

    def _prune(self, best_step: int | None) -> None:
        everything = self.all()
        best = self.at_step(best_step) if best_step is not None else None
        for saved in everything[: -self._keep]:
            if saved != best:
                self._storage.delete(f"{FOLDER}/{saved.name}")

    def _saved(self, name: str) -> Saved:
        match = _NAME.fullmatch(name)
        assert match is not None, name  # noqa: S101 - names come from save() or passed the same pattern
        return Saved(name, int(match[1]), int(match[2]), f"{self._storage.uri}/{FOLDER}/{name}")


def _document(contents: Contents) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "position": asdict(contents.position),
        "objects": dict(contents.objects),
        "history": [seen.to_dict() for seen in contents.history],
        "ranks": [dict(rank) for rank in contents.ranks],
    }


def _read(file: IO[bytes], device: torch.device | str) -> dict[str, Any]:
    document: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return document


def _contents(document: Mapping[str, Any]) -> Contents:
    return Contents(
        position=Position(**document["position"]),
        objects=document["objects"],
        history=tuple(Observation.from_dict(seen) for seen in document["history"]),
        ranks=document["ranks"],
    )


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
