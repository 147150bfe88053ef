"""What a run has used, by what its workers said."""

import pytest
from gpujob import JOB

from trainjobs.runtime.account import Account
from trainjobs.runtime.events import Reported, Started
from trainjobs.stopping import Observation

SEEN = Observation(step=5, epoch=1, seconds=10.0, metrics={})


@pytest.mark.parametrize(
    ("device", "gpu_seconds"), [("NVIDIA H200", 80.0), ("cpu", 0.0)], ids=["on GPUs", "on CPUs"]
)
def test_gpus_that_a_manifest_asks_for_count_only_where_the_run_has_them(device, gpu_seconds):
    account = Account(JOB)
    account.take(Started(1, 2, device, None, 0, 10))
    account.take(Reported(SEEN))
    assert account.accounting().gpu_seconds_used == gpu_seconds


def test_what_earlier_lives_used_is_not_lost_when_this_one_fails_to_start():
    assert Account(JOB, [SEEN]).accounting().gpu_seconds_used == 80.0
