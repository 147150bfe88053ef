"""The termination message: what a pod says of its end, which Kubernetes keeps in the pod's status."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

PATH: Final = Path("/dev/termination-log")
LONGEST: Final = 3000
"""Characters of a message: Kubernetes keeps 4,096 bytes of the whole."""


def write(reason: str, message: str) -> None:
    """Say why this pod ended: a CamelCase word and a sentence. The latest one counts."""
    with suppress(OSError):  # a pod that cannot say it has said it to its log
        PATH.write_text(json.dumps({"reason": reason, "message": message[:LONGEST]}))
