"""Manifests of pods that may do nothing but compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.kubectl import Manifest

LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The restricted profile, and no file that can be changed. It names no user: the image has to."""


def locked_down(name: str, image: str, *arguments: str, **container: Any) -> Manifest:
    """A pod of one container; ``container`` overrides its fields."""
    main = {"name": "main", "image": image, "args": list(arguments), "securityContext": LOCKED_DOWN}
    spec = {"restartPolicy": "Never", "containers": [{**main, **container}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
