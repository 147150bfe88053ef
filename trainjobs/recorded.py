"""A run as it is kept: its reports, how it ended, its weights. For notebooks and scripts; it changes nothing.

run = trainjobs.load_run("runs/mnist")
run.outcome, run.best.value
run.to_pandas().plot(x="epoch", y="val_loss")
run.load_model(Net())
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trainjobs.api import TrainJob
from trainjobs.driver.driver import storage_uri
from trainjobs.exits import DataError, NoInput
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.storage import CHECKPOINT, CHECKPOINTS, CheckpointStorage, storage_at
from trainjobs.stopping import Best, Observation, Panel

if TYPE_CHECKING:
    import pandas
    import torch

Module = TypeVar("Module", bound="torch.nn.Module")
_MODEL = "model.pt"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What `load_run` has read. The run may still be training: then it is read as it was at that moment."""

    path: Path
    """The run directory."""
    job: TrainJob
    """The manifest that the run follows."""
    history: tuple[Observation, ...]
    """Every report, in order."""
    decisions: tuple[Mapping[str, Any], ...]
    """Each decision to stop or to halt, as `decisions.jsonl` has it."""
    result: Mapping[str, Any] | None
    """`result.json`: conditions, what stopped it, what that saved; None while the run has not ended."""

    @property
    def outcome(self) -> str | None:
        """How it ended, such as "EarlyStopped"; None while it has not."""
        return None if self.result is None else str(self.result["state"])

    @property
    def best(self) -> Best | None:
        """The best report by `stopping.monitor`; None without a monitor or before a value."""
        panel = Panel.of(self.job.spec.stopping, self.job.spec.trainer.length, code=None)
        return panel.fold(self.history).best

    @property
    def rows(self) -> list[dict[str, float]]:
        """The reports as rows: `epoch` (the one being trained or just finished, from 1), `step`, `seconds` of training,
        and the metrics, reduced over ranks; NaN and infinity as floats."""
        return [
            {"epoch": seen.epoch, "step": seen.step, "seconds": seen.seconds, **seen.metrics}
            for seen in self.history
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a table. Raises ImportError where pandas is not installed; `rows` needs nothing."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=None if self.rows else ["epoch", "step", "seconds"])

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of the checkpoints that are there, in the order of the run. Raises StorageError."""
        names = (name for name in self._storage().names(CHECKPOINTS) if CHECKPOINT.fullmatch(name))
        return tuple(sorted(names, key=_place))

    def load_model(self, module: Module, name: str | None = None) -> Module:
        """Load the weights that the run ended with (the best ones with `restoreBest`) into a model, on a CPU.

        Args:
            module: the plain model, or one that is wrapped.
            name: of the tracked model, where the run had several.

        Raises:
            NoInput: the run has several models and none of that name.
            DataError: the run has kept no weights, or the file is damaged.
            RuntimeError: they are those of another model.
        """
        from trainjobs.runtime.models.wrappers import unwrapped

        unwrapped(module).load_state_dict(_named(self._weights(), name, self.path))
        return module

    def _weights(self) -> Mapping[str, Any]:
        import torch

        storage = self._storage()
        with storage.open(_MODEL) as file:
            try:
                state: Mapping[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
            except Exception as error:
                raise DataError(
                    f"{storage.uri}/{_MODEL}: damaged ({type(error).__name__}: {error})"
                ) from error
        return state

    def _storage(self) -> CheckpointStorage:
        return storage_at(storage_uri(self.job, RunDirectory(self.path)))


def load_run(path: str | os.PathLike[str]) -> RecordedRun:
    """Read a run directory, such as `runs/mnist`.

    Raises:
        NoInput: it is none.
        DataError, SpecError: a file in it is damaged; the error names file and line.
    """
    directory = RunDirectory(Path(path))
    job = directory.job()
    return RecordedRun(directory.path, job, directory.history(), directory.decisions(), directory.result())


def _named(weights: Mapping[str, Any], name: str | None, path: Path) -> Mapping[str, Any]:
    """One model's: several are by their names, and no key of a state dict leads to another dict."""
    several = [key for key, value in weights.items() if isinstance(value, dict)]
    if not several and name is None:
        return weights
    if name not in several:
        names = ", ".join(several) or "one model, without a name"
        raise NoInput(f"{path}: {_MODEL} holds {names}; say which: load_model(module, name)")
    found: Mapping[str, Any] = weights[name]
    return found


def _place(name: str) -> tuple[int, int]:
    found = CHECKPOINT.fullmatch(name)
    return (int(found[2]), int(found[3])) if found else (0, 0)
