"""A TrainJob on GPUs, for tests of what is counted."""

from manifests import job


def _job(**length):
    trainer = {"numNodes": 2, "resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}}, **length}
    return job(trainer=trainer, stopping={"monitor": "val_loss"})


JOB = _job(maxEpochs=10)
"""Two nodes of four GPUs, for at most ten epochs."""
JOB_BY_STEPS = _job(maxEpochs=None, maxSteps=5000)
"""The same, for at most 5,000 steps."""
