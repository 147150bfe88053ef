"""Checkpoints on the storage: how one is written, which ones are kept, which one a run resumes from.

A checkpoint is one file, `checkpoints/epoch-00003-step-00000120-report-00002.pt`, so that it is there whole or not at
all; after some thousand reports it also names the files that hold most of the history (`segments`). It holds the
tracked objects, the position, the history, and of every rank the random number generators and the sums logged since
the last report. It is read with `weights_only=True`: loading a checkpoint runs no code.

The weights of the best report are those of a checkpoint, as a rule. Where the report came at no place to resume from,
they are a file of their own, `checkpoints/best-report-00002.pt`.
"""

import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import torch

from trainjobs.exits import DataError, UserError
from trainjobs.runs.storage import BEST, CHECKPOINT, CHECKPOINTS, CheckpointStorage
from trainjobs.runtime.checkpoint import file_format, readback
from trainjobs.runtime.checkpoint.contents import BestCheckpoint, Contents, Found, Saved
from trainjobs.runtime.checkpoint.segments import Segments
from trainjobs.stopping import Observation

_PROBE = "writable"


class Checkpoints:
    """The checkpoints of one run: the newest `keep` and the best, which may be weights alone.

    Make it once the training function is imported: a state may hold the types that are allowed by then
    (`torch.serialization.add_safe_globals`), since they will be again when the next process reads it.
    """

    def __init__(self, storage: CheckpointStorage, keep: int) -> None:
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
        readback.check(file_format.states(contents), self._allowed)
        saved = self._new_name(contents, best_report is not None)
        best = self.best if best_report is None else BestCheckpoint(saved.name, best_report)
        document = file_format.document_of(contents, best) | {
            "history": self._segments.document(contents.history)
        }
        with file_format.checksums():
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
        readback.check(file_format.named(states), self._allowed)
        document = {"format": file_format.FORMAT, "report": report, "objects": dict(states)}
        with file_format.checksums():
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
            document = file_format.read(file, "cpu")
            file_format.check_format(document["format"])
            return dict(file_format.of_kind(dict, document["objects"]))

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
            document = file_format.read(file, device)
            contents = file_format.contents_of(document, self._history)
            if not _is_named(contents, saved):
                raise ValueError(f"it holds the checkpoint of step {contents.position.step}")
            return contents

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        """A file whose bytes are as they were written; what a parser trips over in it is damage."""
        path = f"{CHECKPOINTS}/{name}"
        with self._storage.open(path) as file, file_format.understood(f"{self._storage.uri}/{path}"):
            file_format.check_bytes(file)
            yield file

    def _among(self, names: Sequence[str]) -> list[Saved]:
        """The checkpoints among these names, oldest first."""
        found = [self._saved(name) for name in names if CHECKPOINT.fullmatch(name)]
        return sorted(found, key=lambda saved: saved.order)

    def _history(self, document: Mapping[str, Any]) -> Sequence[Observation]:
        if document["format"] == 1:
            return tuple(Observation.from_dict(seen) for seen in document["history"])
        return self._segments.read(document["history"])

    def _new_name(self, contents: Contents, holds_best: bool) -> Saved:
        """Its name: not over the best, unless it is the new best."""
        position = contents.position
        name = f"epoch-{position.epoch:05d}-step-{position.step:08d}-report-{len(contents.history):05d}"
        if self.best is None or not self.best.name.startswith(name):
            return self._saved(f"{name}.pt")
        again = self._saved(self.best.name).again + (not holds_best)
        return self._saved(f"{name}-{again}.pt" if again else f"{name}.pt")

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


def _is_named(contents: Contents, saved: Saved) -> bool:
    position = contents.position
    same_epoch = saved.epoch is None or saved.epoch == position.epoch
    return same_epoch and (position.step, len(contents.history)) == (saved.step, saved.reports)
