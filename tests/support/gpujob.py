"""A TrainJob on GPUs, for tests of what is counted."""

from trainjobs.api.manifest import parse


def _job(**length):
    trainer = {
        "entrypoint": "train:train",
        "numNodes": 2,
        "resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}},
        **length,
    }
    return parse(
        {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "mnist"},
            "spec": {"trainer": trainer, "stopping": {"monitor": "val_loss"}},
        }
    )


JOB = _job(maxEpochs=10)
"""Two nodes of four GPUs, for at most ten epochs."""
JOB_BY_STEPS = _job(maxSteps=5000)
"""The same, for at most 5,000 steps."""
