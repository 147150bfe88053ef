"""The tests' hand in the cluster: ``kubectl`` with the right kubeconfig, its answers as Python objects."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
"""Labels of a namespace that refuses pods outside the restricted Pod Security profile."""


class KubectlError(RuntimeError):
    """kubectl refused; ``stderr`` holds the API server's words."""

    def __init__(self, command: list[str], stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(command)}: {stderr.strip()}")
        self.stderr = stderr


@dataclass(frozen=True)
class Kubectl:
    """``kubectl`` for one cluster, one user and one default namespace."""

    program: Path
    kubeconfig: Path
    namespace: str = "default"
    options: tuple[str, ...] = ()

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_s: float = 300) -> str:
        """Run kubectl and return what it prints. Raises KubectlError when it does not end with code 0."""
        command = [*self.options, *arguments]
        done = subprocess.run(
            [self.program, f"--namespace={self.namespace}", *command],
            input=stdin,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise KubectlError(command, done.stderr)
        return done.stdout

    def get(self, *arguments: str) -> Manifest:
        """``kubectl get`` as an object, or as a list object with ``items``."""
        answer: Manifest = json.loads(self("get", *arguments, "--output=json"))
        return answer

    def apply(self, *manifests: Manifest | str | Path) -> str:
        """Server-side apply of objects, YAML text or files."""
        return self("apply", "--server-side", "--filename=-", stdin=_documents(manifests))

    def create(self, *manifests: Manifest | str | Path) -> str:
        """Create objects, which unlike ``apply`` allows ``generateName`` and refuses what exists."""
        return self("create", "--filename=-", stdin=_documents(manifests))

    def wait(self, *arguments: str, timeout_s: float = 60) -> None:
        """``kubectl wait``, as in ``wait("job/a", "--for=condition=Complete")``: a watch, not polling."""
        self("wait", *arguments, f"--timeout={timeout_s:g}s", timeout_s=timeout_s + 10)

    def create_namespace(
        self, name: str, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
    ) -> Kubectl:
        """A new namespace, ready for pods, as the default of the returned Kubectl."""
        metadata: Manifest = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        inside = Kubectl(self.program, self.kubeconfig, name, self.options)
        # Pods are refused until their namespace's service account exists; a controller creates it.
        inside.wait("serviceaccount/default", "--for=create")
        return inside

    def as_token(self, token: str) -> Kubectl:
        """The same cluster as another user."""
        return Kubectl(self.program, self.kubeconfig, self.namespace, (f"--token={token}",))


def _documents(manifests: tuple[Manifest | str | Path, ...]) -> str:
    """One stream of YAML documents. JSON is YAML."""
    texts = [
        manifest.read_text() if isinstance(manifest, Path) else manifest if isinstance(manifest, str)
        else json.dumps(manifest)
        for manifest in manifests
    ]  # fmt: skip
    return "\n---\n".join(texts)
