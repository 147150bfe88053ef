"""A TrainSweep as a person would apply it."""

from typing import Any


def sweep_manifest(name: str = "tuned", trainer: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Of two slots; `spec` adds to it or replaces what is there."""
    template = {"trainer": {"entrypoint": "train:train", "maxEpochs": 4, **(trainer or {})}}
    template |= spec.pop("template", {})
    return {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainSweep",
        "metadata": {"name": name},
        "spec": {
            "template": {"spec": template},
            "parameters": {"learningRate": {"logUniform": {"min": 0.001, "max": 1.0}}},
            "objective": {"metric": "val_loss"},
            "maxTrials": 6,
            "parallelTrials": 2,
            **spec,
        },
    }
