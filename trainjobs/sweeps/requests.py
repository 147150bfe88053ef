"""Requests to a trial as files beside it: whoever writes one needs no connection, and it outlives both ends."""

import json
from contextlib import suppress
from pathlib import Path

from trainjobs.runs.codec import REQUESTS
from trainjobs.runs.requests import Control, Request


class FileControl(Control):
    """Requests out of files named `request.json`: the trial's own, taken once, and the sweep's, for all trials."""

    def __init__(self, trial: Path, sweep: Path) -> None:
        super().__init__()
        self._trial = trial / "request.json"
        self._sweep = sweep / "request.json"
        self._all_asked = False

    def take(self, timeout_s: float = 0.0) -> Request | None:
        """See `Control.take`; a file that cannot be read is no request."""
        if (request := _read(self._trial)) is not None:
            self._trial.unlink(missing_ok=True)
            return request
        if not self._all_asked and (request := _read(self._sweep)) is not None:
            self._all_asked = True
            return request
        return super().take(timeout_s)


def _read(path: Path) -> Request | None:
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return REQUESTS.from_dict(json.loads(path.read_text(encoding="utf-8")))
    return None
