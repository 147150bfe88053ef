"""``helm`` with the right kubeconfig, and nothing of the user's own settings."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.kubectl import Kubectl


class HelmError(RuntimeError):
    """helm refused; ``stderr`` holds its words."""

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"helm {' '.join(arguments)}: {stderr.strip()}")
        self.stderr = stderr


@dataclass(frozen=True)
class Helm:
    """``helm`` for one cluster, or, without a kubeconfig, for charts alone."""

    program: Path
    kubeconfig: Path | None = None
    namespace: str = "default"

    def on(self, kubectl: Kubectl) -> Helm:
        """helm for kubectl's cluster and namespace."""
        return Helm(self.program, kubectl.kubeconfig, kubectl.namespace)

    def within(self, namespace: str) -> Helm:
        """helm for another namespace."""
        return Helm(self.program, self.kubeconfig, namespace)

    def __call__(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run helm and return what it prints. Raises HelmError when it does not end with code 0."""
        done = subprocess.run(
            [self.program, f"--namespace={self.namespace}", *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig or os.devnull)},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise HelmError(arguments, done.stderr)
        return done.stdout
