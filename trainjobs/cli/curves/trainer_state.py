"""`trainer_state.json`, which Hugging Face's Trainer writes beside each checkpoint."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trainjobs.api import Length
from trainjobs.cli.curves.reports import Row
from trainjobs.exits import DataError, user_error
from trainjobs.runs.regular import opened

NAME: Final = "trainer_state.json"
LARGEST: Final = 2**28
"""Bytes."""
_NO_METRIC: Final = frozenset(("epoch", "step", "total_flos"))


@dataclass(frozen=True, slots=True)
class TrainerState:
    """A log, and how long the run was to be."""

    path: Path
    log: tuple[Any, ...]
    max_steps: int | None
    steps: int
    """Trained so far."""

    @classmethod
    def read(cls, path: Path) -> "TrainerState":
        """Raises DataError for what is no such file."""
        try:
            with opened(path) as file:
                document = json.loads(file.read(LARGEST))
        except OSError as error:
            raise user_error(error, f"reading {path}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not JSON ({error})") from error
        if not isinstance(document, dict) or not isinstance(document.get("log_history"), list):
            raise DataError(f"{path}: expected the trainer_state.json of a Trainer, with log_history")
        most, steps = document.get("max_steps"), document.get("global_step")
        return cls(
            path,
            tuple(document["log_history"]),
            most if isinstance(most, int) and most > 0 else None,
            steps if isinstance(steps, int) else 0,
        )

    @property
    def length(self) -> Length | None:
        """Of the run, in steps, since epochs need not be whole."""
        return Length.of(None, self.max_steps) if self.max_steps else None

    def rows(self) -> Iterator[Row]:
        """Raises DataError naming the entry that cannot be read."""
        before = (0.0, 0)
        for i, entry in enumerate(self.log):
            try:
                place = (float(entry["epoch"]), int(entry["step"]))
                numbers = {key: float(value) for key, value in entry.items() if _is_metric(key, value)}
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise DataError(
                    f"{self.path}: log_history[{i}]: expected numbers with epoch and step"
                ) from error
            if not (before[0] <= place[0] < 1e15 and before[1] <= place[1]):
                raise DataError(f"{self.path}: log_history[{i}]: epoch or step goes back")
            yield Row(numbers, *place)
            before = place


def _is_metric(key: str, value: Any) -> bool:
    return key not in _NO_METRIC and isinstance(value, int | float) and not isinstance(value, bool)
