"""Writes what a run owns of a status, no faster than needed and never in the run's way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

log = logging.getLogger(__name__)

Document = dict[str, Any]

INTERVAL_S: Final = 5.0
"""Seconds between two writes, but for what somebody waits for."""
LAST_WRITE_S: Final = 60.0
"""How long an API server that does not answer is asked to take the last write."""


class StatusWriter:
    """A thread that writes what has changed.

    Args:
        written: the fields as the API server has them.
        current: the fields as they are now; called in that thread.
        patch: merges fields into the status; may raise anything.
    """

    def __init__(
        self, written: Document, current: Callable[[], Document], patch: Callable[[Document], object]
    ) -> None:
        self._written = written
        self._current = current
        self._patch = patch
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def tell(self, *, urgent: bool) -> None:
        """Something has changed; if it is urgent somebody waits for it."""
        self._news.set()
        if urgent:
            self._hurry.set()

    def close(self) -> None:
        """Write what is left, trying again for a minute."""
        self._over = True
        self.tell(urgent=True)
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            self._news.wait()
            self._news.clear()
            self._hurry.clear()
            self._write()
            if not self._over:  # the hurry of that may have come before it was forgotten
                self._hurry.wait(INTERVAL_S)
        deadline = time.monotonic() + LAST_WRITE_S
        while not self._write() and time.monotonic() < deadline:
            time.sleep(1)

    def _write(self) -> bool:
        document = self._current()
        if not (fields := difference(self._written, document)):
            return True
        try:
            self._patch(fields)
        except Exception as error:  # the run is worth more than its status
            log.warning("the status was not written: %s", str(error).partition("\n")[0])
            self._news.set()
            return False
        self._written = document
        return True


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`."""
    patch: Document = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := difference(before, value):
                patch[name] = inner
        elif value != before:
            patch[name] = value
    return patch
