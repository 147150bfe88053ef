"""What a run has used, by what its workers said."""

import pytest
from gpujob import JOB, JOB_BY_STEPS

from trainjobs.coordination import Decision, Outcome
from trainjobs.runtime.account import Account
from trainjobs.runtime.events import Halted, Progress, Reported, Started
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


def account_of(job, seen, halted_at, outcome=Outcome.EARLY_STOPPED):
    """Of a run on GPUs that halted with this report as its last."""
    account = Account(job)
    trainer = job.spec.trainer
    account.take(Started(1, 2, "NVIDIA H200", None, 0, trainer.max_epochs, max_steps=trainer.max_steps))
    account.take(Reported(seen))
    decision = Decision(outcome, "plateau", "", None, None, None, None, halted_at, halted_at, 0.0).to_dict()
    account.take(Halted(decision, {0: halted_at, 1: halted_at}, 1.0))
    return account


WHOLE = Observation(2, 100, 40.0, {})
AMID = Observation(1, 100, 40.0, {}, whole=False)


@pytest.mark.parametrize(
    ("job", "seen", "halted_at", "epoch", "saved"),
    [
        (JOB, WHOLE, 100, 2, ("MaxEpochs", 8, 400, 8 * 20.0 * 8)),
        (JOB, AMID, 100, 0, ("MaxEpochs", 10, 0, 0.0)),
        (JOB_BY_STEPS, WHOLE, 100, 2, ("MaxSteps", 0, 4900, 8 * 0.4 * 4900)),
        (JOB_BY_STEPS, AMID, 100, 0, ("MaxSteps", 0, 4900, 8 * 0.4 * 4900)),
        (JOB_BY_STEPS, AMID, 150, 0, ("MaxSteps", 0, 4850, 8 * 0.4 * 4850)),
    ],
)
def test_what_is_saved_is_counted_against_the_length_in_its_own_unit(job, seen, halted_at, epoch, saved):
    account = account_of(job, seen, halted_at)
    found = account.accounting()
    assert (account.training().epoch, account.training().step) == (epoch, halted_at)
    assert (found.baseline, found.epochs_saved, found.steps_saved, found.gpu_seconds_saved) == (
        *saved[:3],
        pytest.approx(saved[3]),
    )


@pytest.mark.parametrize("job", [JOB, JOB_BY_STEPS])
def test_a_run_that_can_go_on_has_saved_nothing(job):
    found = account_of(job, WHOLE, 100, Outcome.INTERRUPTED).accounting()
    assert (found.epochs_saved, found.steps_saved, found.gpu_seconds_saved) == (0, 0, 0.0)
    assert found.baseline == job.spec.trainer.length.baseline


def test_while_it_trains_its_step_is_that_of_the_newest_word():
    account = Account(JOB)
    account.take(Started(1, 2, "cpu", 60, 1, 10))
    assert account.training().step == 60
    account.take(Progress(2, 70, 10, None, 5.0))
    assert account.training().step == 70
