"""Leaves the termination message, which Kubernetes keeps in the pod's status."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from trainjobs.api.pod_contract import TERMINATION_LOG, TerminationMessage

PATH: Final = Path(TERMINATION_LOG)


def write(reason: str, message: str) -> None:
    """Say why this pod ended: a CamelCase word and a sentence. The latest one counts."""
    with suppress(OSError):  # a pod that cannot say it has said it to its log
        PATH.write_text(TerminationMessage(reason, message).to_text(), encoding="utf-8")
