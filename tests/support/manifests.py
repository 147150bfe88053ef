"""TrainJobs for tests: as a manifest's plain values, and read."""

from __future__ import annotations

from typing import Any

from trainjobs.api import TrainJob
from trainjobs.api.manifest import parse


def manifest(name: str = "mnist", *, trainer: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The smallest TrainJob; `trainer` and `metadata` add to its own, other fields are those of its spec."""
    metadata = {"name": name, **fields.pop("metadata", {})}
    trainer = {"entrypoint": "train:train", "maxEpochs": 100, **(trainer or {})}
    return {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": metadata,
        "spec": {"trainer": trainer, **fields},
    }


def flat(**fields: Any) -> dict[str, Any]:
    """The same, where `trainer__x` is the field x of the trainer."""
    trainer = {key[9:]: fields.pop(key) for key in list(fields) if key.startswith("trainer__")}
    return manifest(trainer=trainer, **fields)


def job(name: str = "mnist", **fields: Any) -> TrainJob:
    """The TrainJob that `manifest` writes."""
    return parse(manifest(name, **fields))
