"""What a run has used, by what its workers said."""

import pytest

from trainjobs.runtime.account import Account
from trainjobs.runtime.events import Reported, Started
from trainjobs.spec import parse
from trainjobs.stopping import Observation


@pytest.mark.parametrize(
    ("device", "gpu_seconds"), [("NVIDIA H200", 80.0), ("cpu", 0.0)], ids=["on GPUs", "on CPUs"]
)
def test_gpus_that_a_manifest_asks_for_count_only_where_the_run_has_them(device, gpu_seconds):
    account = Account(
        parse(
            {
                "apiVersion": "trainjobs.dev/v1alpha1",
                "kind": "TrainJob",
                "metadata": {"name": "mnist"},
                "spec": {
                    "trainer": {
                        "entrypoint": "train:train",
                        "maxEpochs": 10,
                        "numNodes": 2,
                        "resourcesPerNode": {"limits": {"nvidia.com/gpu": 4}},
                    }
                },
            }
        )
    )
    account.take(Started(1, 2, device, None, 0, 10))
    account.take(Reported(Observation(step=5, epoch=1, seconds=10.0, metrics={})))
    assert account.accounting().gpu_seconds_used == gpu_seconds
