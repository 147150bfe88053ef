"""A run's state as the status of a TrainJob tells it: what it used and saved, where it is, and why it stopped."""

from dataclasses import replace

import pytest
from gpujob import JOB, JOB_BY_STEPS
from shadowed import FLAT, SHADOWS, judged_by, with_criteria

from trainjobs.api import status
from trainjobs.api.reasons import RunOutcome
from trainjobs.coordination import Decision, Outcome
from trainjobs.runs import run_state
from trainjobs.runs.events import (
    Checkpointed,
    Decided,
    Failed,
    FirstStep,
    Halted,
    Reported,
    Started,
    Starting,
)
from trainjobs.runs.job_status import JobStatus, fitted
from trainjobs.runs.run_state import History, RunState
from trainjobs.stopping import Observation


class Account:
    """The status of a job after some events."""

    def __init__(self, job, history=()):
        self.job = job
        self.state = RunState.of(job.spec.stopping, history)

    def take(self, event):
        self.state = self.state.after(event)

    def __getattr__(self, part):
        return getattr(JobStatus(self.job, self.state), part)


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


def test_a_start_is_told_when_its_first_step_is_done_and_is_the_latest_attempts():
    account, started = Account(JOB), Started(1, 2, "cpu", None, 0, 10)
    account.take(started)
    assert account.training().startup_seconds is None
    account.take(FirstStep({"workers": 20.5, "setup": 4.0, "step": 0.5}))
    account.take(Reported(SEEN))
    assert account.training().startup_seconds == 25.0
    account.take(started)
    assert account.training().startup_seconds is None


def test_shadow_stops_are_told_with_what_they_judged():
    account = Account(with_criteria(SHADOWS))
    for event in judged_by(SHADOWS, FLAT):
        account.take(event)
    plateau, budget = account.stopping().shadow
    assert (plateau.criterion, plateau.metric, plateau.value, plateau.epoch, plateau.step) == (
        "plateau",
        "val_loss",
        "0.5",
        3,
        15,
    )
    assert (budget.criterion, budget.metric, budget.value, budget.epoch) == ("budget", None, None, 3)


def test_the_best_of_a_checkpoint_is_of_the_newest_report_at_its_step():
    account = Account(JOB)
    for value in (0.5, 0.4):
        account.take(Reported(Observation(epoch=1, step=5, seconds=1.0, metrics={"val_loss": value})))
    account.take(Checkpointed("runs/a/x.pt", 1, 5, 0.1))
    assert account.checkpoint().metric == "0.4"


def test_metrics_that_criteria_judge_are_never_left_out_of_the_status():
    account = Account(with_criteria(SHADOWS))
    many = {f"layer{n}/norm": 1.0 for n in range(200)} | {"absent": 0.3, "val_loss": 0.5}
    account.take(Reported(Observation(epoch=1, step=5, seconds=1.0, metrics=many)))
    names = [metric.name for metric in account.training().metrics]
    assert len(names) == 64
    assert {"val_loss", "absent"} < set(names)


CURVE = tuple(
    Observation(epoch=n, step=5 * n, seconds=n, metrics={"val_loss": value})
    for n, value in enumerate((0.5, 0.3, 0.4), start=1)
)


def account_of(job, seen, halted_at, outcome=Outcome.EARLY_STOPPED):
    """Of a run on GPUs that halted with this report as its last."""
    account = Account(job)
    trainer = job.spec.trainer
    account.take(Started(1, 2, "NVIDIA H200", None, 0, trainer.max_epochs, max_steps=trainer.max_steps))
    account.take(Reported(seen))
    decision = Decision(outcome, "plateau", "", None, None, None, None, halted_at, halted_at, 0.0)
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
    assert found.seconds_saved == pytest.approx(saved[3] / 8)


@pytest.mark.parametrize("job", [JOB, JOB_BY_STEPS])
def test_a_run_that_can_go_on_has_saved_nothing(job):
    found = account_of(job, WHOLE, 100, Outcome.INTERRUPTED).accounting()
    saved = (found.epochs_saved, found.steps_saved, found.seconds_saved, found.gpu_seconds_saved)
    assert saved == (0, 0, 0, 0)
    assert found.baseline == job.spec.trainer.length.baseline


class Unread(History):
    """A history of which only the end may be asked for."""

    def __iter__(self):
        raise AssertionError("a status walks through the reports")


def test_a_status_folds_no_history(monkeypatch):
    account = Account(with_criteria(SHADOWS))
    for event in judged_by(SHADOWS, FLAT):
        account.take(event)
    monkeypatch.delattr(run_state, "replay")
    account.state = replace(account.state, history=Unread(account.state.history))
    assert len(account.stopping().shadow) == 2


STOPPED = Decision(Outcome.EARLY_STOPPED, "plateau", "flat", "val_loss", 0.5, 0.4, 3, 5, 5, 1.8e9)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ([], RunOutcome.FINISHED),
        ([Halted(None, {0: 5}, 0.0)], RunOutcome.FINISHED),
        ([Decided(STOPPED)], RunOutcome.EARLY_STOPPED),
        ([Decided(replace(STOPPED, outcome=Outcome.STOP_REQUESTED))], RunOutcome.STOP_REQUESTED),
        ([Decided(replace(STOPPED, outcome=Outcome.INTERRUPTED))], RunOutcome.INTERRUPTED),
        ([Decided(STOPPED), Failed(1, "ValueError", "x", "", 70)], RunOutcome.FAILED),
        ([Failed(1, "ValueError", "x", "", 70), Starting(2, 1)], RunOutcome.FINISHED),
    ],
)
def test_a_run_is_called_after_what_ends_it(told, outcome):
    account = Account(JOB)
    for event in told:
        account.take(event)
    assert account.outcome is outcome


def test_the_halt_is_told_with_its_decision_and_the_ranks_that_came_to_it():
    account = Account(JOB)
    account.take(Halted(STOPPED, {0: 5, 1: 6}, 1.5))
    told = account.stopping()
    assert (told.criterion, told.reason, told.metric, told.value) == ("plateau", "flat", "val_loss", "0.5")
    assert (told.decided_at_step, told.halted_at_step) == (5, 6)
    assert (told.ranks_halted, told.ranks_total) == (2, 2)
    assert told.decision_time.timestamp() == 1.8e9


def test_a_decision_that_no_rank_has_followed_is_not_told_as_a_halt():
    account = Account(JOB)
    account.take(Decided(STOPPED))
    assert account.stopping() == status.StoppingStatus()


def test_a_text_is_cut_to_what_its_field_holds_and_everything_else_stays():
    best = fitted(status.BestValue, metric="m" * 5000, value="0.5", epoch=3)
    longest = status.BestValue.model_json_schema(by_alias=False)["properties"]["metric"]["maxLength"]
    assert (len(best.metric), best.value, best.epoch) == (longest, "0.5", 3)
