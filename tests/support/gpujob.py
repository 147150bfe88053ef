"""A TrainJob on GPUs, for tests of what is counted."""

from trainjobs.spec import parse

JOB = parse(
    {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist"},
        "spec": {
            "trainer": {
                "entrypoint": "train:train",
                "maxEpochs": 10,
                "numNodes": 2,
                "resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}},
            },
            "stopping": {"monitor": "val_loss"},
        },
    }
)
"""Two nodes of four GPUs, for at most ten epochs."""
