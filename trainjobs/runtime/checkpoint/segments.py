"""The history of a long run on the storage, so that a checkpoint need not carry all of it again each time.

Every `SEGMENT` reports become a file that never changes, written once beside the checkpoints. Checkpoints name
those files and hold the rest of the history themselves. A name holds the digest of its file's bytes: a file that is
torn or damaged, or of another run, is not taken for the one that was meant. The files are small, 200 KB, and stay.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainjobs.exits import DataError
from trainjobs.runs.storage import CheckpointStorage
from trainjobs.runtime.checkpoint import columns
from trainjobs.stopping import Observation

SEGMENT = 4096
"""Reports in a file. Up to so many are in each checkpoint: 200 KB with three metrics, and some 5 ms to write."""


class Segments:
    """The files of one run's history, in `folder` of the storage."""

    def __init__(self, storage: CheckpointStorage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._known: dict[int, tuple[Observation, str]] = {}
        """By number: the last report of a file that this process wrote or read, and the file's name."""

    def document(self, history: Sequence[Observation]) -> dict[str, Any]:
        """What a checkpoint holds of it, once the files it names are there. Raises StorageError."""
        count = len(history) // SEGMENT
        names = [self._name(history, number) for number in range(count)]
        return {"segments": names, "rest": columns.encoded(history[count * SEGMENT :])}

    def read(self, document: Mapping[str, Any]) -> tuple[Observation, ...]:
        """The history of which `document` is held.

        Raises:
            DataError: a file is not there or not the one that was written.
        """
        history: list[Observation] = []
        for number, name in enumerate(document["segments"]):
            history += self._read(name)
            self._known[number] = history[-1], name
        return (*history, *columns.decoded(document["rest"]))

    def _name(self, history: Sequence[Observation], number: int) -> str:
        last, name = self._known.get(number, (None, ""))
        if last != history[(number + 1) * SEGMENT - 1]:
            name = self._write(history, number)
        return name

    def _write(self, history: Sequence[Observation], number: int) -> str:
        reports = history[number * SEGMENT : (number + 1) * SEGMENT]
        buffer = io.BytesIO()
        torch.save(columns.encoded(reports), buffer)
        name = f"history-{number:05d}-{hashlib.sha256(buffer.getvalue()).hexdigest()}.pt"
        self._storage.write(f"{self._folder}/{name}", lambda file: file.write(buffer.getvalue()))
        self._known[number] = reports[-1], name
        return name

    def _read(self, name: str) -> list[Observation]:
        with self._storage.open(f"{self._folder}/{name}") as file:
            content = file.read()
        if not name.endswith(f"-{hashlib.sha256(content).hexdigest()}.pt"):
            raise DataError(f"{self._storage.uri}/{self._folder}/{name} is damaged")
        return columns.decoded(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
