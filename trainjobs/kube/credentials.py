"""What a caller shows the API server to say who it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

Headers = Mapping[str, str]

TOKEN_AGES_S: Final = 60.0
"""Seconds after which a token is read again: Kubernetes replaces a pod's while the pod lives."""


class TokenFile:
    """A token in a file, such as that of the pod that this process is in."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises OSError if there is none, ValueError if it is empty."""
        self._file = file
        self._clock = clock
        self._read_at = clock()
        self._token = file.read_text().strip()
        if not self._token:
            raise ValueError(f"{file} is empty")

    def headers(self) -> Headers:
        """What to show the API server now. Raises OSError."""
        if self._clock() - self._read_at >= TOKEN_AGES_S:
            self._token = self._file.read_text().strip() or self._token
            self._read_at = self._clock()
        return bearer(self._token)


def bearer(token: str) -> Headers:
    """The header that shows a token."""
    return {"authorization": f"Bearer {token}"}
