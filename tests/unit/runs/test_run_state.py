"""What a run has used, by what its workers said."""

import json
from dataclasses import replace

import pytest
from gpujob import JOB, JOB_BY_STEPS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainjobs.api import Stopping
from trainjobs.api.status import TrainJobStatus
from trainjobs.cli.run_report import read
from trainjobs.coordination import Decision, Outcome
from trainjobs.runs import run_state
from trainjobs.runs.codec import EVENTS
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    CriterionResult,
    Decided,
    Failed,
    Halted,
    Progress,
    Reported,
    Started,
)
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.recorder import RunRecorder
from trainjobs.runs.run_state import History, RunState
from trainjobs.stopping import Best, Observation, Panel


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


SHADOWS = Stopping.model_validate(
    {
        "monitor": "val_loss",
        "criteria": [
            {"plateau": {"patience": 2}, "shadow": True},
            {"budget": {"epochs": 3}, "shadow": True},
            {"threshold": {"monitor": "absent", "value": 0.1}},
        ],
    }
)
FLAT = [
    Observation(epoch=n, step=5 * n, seconds=n, metrics={"val_loss": 0.5, "absent": 1.0}) for n in range(1, 6)
]


def judged_by(stopping, history):
    """What is told of a history: an event for each report, as it comes over the wire."""
    panel = Panel.of(stopping)
    state = panel.fold(())
    for number, seen in enumerate(history, start=1):
        state = panel.fold([seen], state)
        yield EVENTS.from_dict(
            json.loads(json.dumps(EVENTS.to_dict(Reported.of(seen, panel.judge(state), number))))
        )


def with_criteria(stopping):
    return JOB.model_copy(update={"spec": JOB.spec.model_copy(update={"stopping": stopping})})


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


@pytest.mark.parametrize("resumed", range(6))
def test_shadow_stops_are_the_same_however_the_history_came(resumed):
    told = Account(with_criteria(SHADOWS))
    told.take(Started(2, 2, "cpu", None, 0, 10, history=tuple(FLAT[:resumed])))
    for event in list(judged_by(SHADOWS, FLAT))[resumed:]:
        told.take(event)
    changed = Account(with_criteria(Stopping()), FLAT)
    changed.take(CriteriaChanged(SHADOWS))
    assert told.stopping().shadow == changed.stopping().shadow
    assert len(told.stopping().shadow) == 2


def test_criteria_that_cannot_read_the_history_leave_the_account_as_it_is():
    account = Account(JOB, [SEEN])
    account.take(CriteriaChanged(SHADOWS))
    assert account.stopping().shadow == ()


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


def ended_in_a_result(place, *told):
    record = RunRecorder(JOB, place, lambda _: None)
    for event in told:
        record.take(event)
    return record.close().document


def test_a_result_holds_only_what_was_measured_and_decided(tmp_path):
    """The operator counts active seconds; where nothing was decided, nothing is said of a decision."""
    place = RunDirectory(tmp_path)
    document = ended_in_a_result(place, Started(1, 2, "cpu", None, 0, 10), Halted(None, {0: 5, 1: 5}, 0.0))
    assert "activeSeconds" not in document
    assert document["stopping"] == {"shadow": [], "haltedSteps": {"0": 5, "1": 5}}


def test_a_result_says_the_best_of_a_decision_that_knows_one(tmp_path):
    decision = Decision(Outcome.EARLY_STOPPED, "plateau", "flat", "val_loss", 0.5, 0.4, 3, 5, 5, 1.8e9)
    document = ended_in_a_result(RunDirectory(tmp_path), Decided(decision), Halted(decision, {0: 5}, 1.5))
    stopping = document["stopping"]
    assert (stopping["best"], stopping["bestEpoch"], stopping["millisecondsToHalt"]) == (0.4, 3, 1.5)


CURVE = tuple(
    Observation(epoch=n, step=5 * n, seconds=n, metrics={"val_loss": value})
    for n, value in enumerate((0.5, 0.3, 0.4), start=1)
)


def test_a_resumed_run_knows_its_best_before_its_first_report():
    account = Account(JOB)
    account.take(Started(1, 2, "cpu", 15, 3, 10, CURVE))
    best = account.training().best
    assert (best.value, best.epoch) == ("0.3", 2)


def test_a_best_that_was_lost_with_a_failed_attempt_is_the_best_no_more():
    account = Account(JOB)
    panel = Panel.of(JOB.spec.stopping)
    account.take(Started(1, 2, "cpu", None, 0, 10))
    for n, seen in enumerate(CURVE, start=1):
        account.take(Reported.of(seen, panel.judge(panel.fold(CURVE[:n])), n))
    account.take(Started(2, 2, "cpu", 5, 1, 10, CURVE[:1]))
    best = account.training().best
    assert (best.value, best.epoch) == ("0.5", 1)


anything = st.text(max_size=5000) | st.sampled_from(["x" * 50_000, "\udcff.png", "é" * 300])
floats = st.floats()
counts = st.integers(0, 2**40)
observations = st.builds(
    Observation,
    epoch=st.integers(1, 2**31),
    step=counts,
    seconds=st.floats(0, 1e12),
    metrics=st.dictionaries(anything, floats, max_size=5)
    | st.integers(60, 70).map(
        lambda n: {f"{'m' * 256}{i}": 0.0 for i in range(n)} | {f"a{i}": 0.0 for i in range(n)}
    ),
    whole=st.booleans(),
)
results = st.builds(
    CriterionResult,
    **dict.fromkeys(("name", "family", "reason", "waiting"), anything),
    **dict.fromkeys(("shadow", "stop"), st.booleans()),
    gated=st.none(),
    closeness=st.floats(0, 1),
    metric=st.none() | anything,
    value=st.none() | floats,
)
decisions = st.builds(
    Decision,
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.CONTINUE]),
    criterion=st.none() | anything,
    reason=anything,
    metric=st.none() | anything,
    value=st.none() | floats,
    best=st.none() | floats,
    best_epoch=st.none() | counts,
    decided_at_step=counts,
    halt_at_step=counts,
    decided_at=st.floats(0, 4e9),
)
happenings = st.one_of(
    st.builds(Started, st.just(1), st.just(2), anything, st.none() | counts, counts, st.just(10)),
    st.builds(
        Reported,
        observations,
        st.lists(results, max_size=3).map(tuple),
        st.none() | st.builds(Best, anything, floats, counts, counts, counts),
        anything,
    ),
    st.builds(Decided, decisions),
    st.builds(Halted, decisions | st.none(), st.dictionaries(st.integers(0, 3), counts, min_size=1), floats),
    st.builds(Checkpointed, anything, counts, counts, floats),
    st.builds(Failed, st.none() | st.just(1), anything, anything, anything, st.sampled_from([1, 65, 70])),
)
slow = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@slow
@given(st.lists(happenings, max_size=6))
def test_whatever_happens_is_a_valid_status_and_a_result(tmp_path_factory, told):
    place = RunDirectory(tmp_path_factory.mktemp("run"))
    record = RunRecorder(with_criteria(SHADOWS), place, lambda _: None)
    for event in told:
        record.take(event)
    document = record.close().document
    known = {name: value for name, value in document.items() if name not in {"name", "state", "failure"}}
    TrainJobStatus.model_validate(known, by_alias=True, by_name=False)
    assert place.result()["state"] == document["state"]


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


def test_a_result_and_a_summary_tell_the_same_savings(tmp_path):
    place = RunDirectory(tmp_path / "run")
    place.create()
    place.write_job(JOB)
    record = RunRecorder(JOB, place, lambda _: None)
    decision = Decision(Outcome.EARLY_STOPPED, "plateau", "", None, None, None, None, 100, 100, 0.0)
    for event in (
        Started(1, 2, "cpu", None, 0, 10),
        Reported(WHOLE),
        Halted(decision, {0: 100}, 1.0),
    ):
        record.take(event)
    told = record.close().document["accounting"]
    saved = read(place).saved
    assert (told["epochsSaved"], told["stepsSaved"], told["secondsSaved"]) == (
        *(saved.epochs, saved.steps),
        pytest.approx(saved.seconds),
    )
    assert told["gpuSecondsSaved"] == 0


@pytest.mark.parametrize("job", [JOB, JOB_BY_STEPS])
def test_a_run_that_can_go_on_has_saved_nothing(job):
    found = account_of(job, WHOLE, 100, Outcome.INTERRUPTED).accounting()
    saved = (found.epochs_saved, found.steps_saved, found.seconds_saved, found.gpu_seconds_saved)
    assert saved == (0, 0, 0, 0)
    assert found.baseline == job.spec.trainer.length.baseline


def test_while_it_trains_its_step_is_that_of_the_newest_word():
    account = Account(JOB)
    account.take(Started(1, 2, "cpu", 60, 1, 10))
    assert account.training().step == 60
    account.take(Progress(2, 70, 10, None, 5.0))
    assert account.training().step == 70


def test_a_history_that_grows_leaves_the_shorter_ones_as_they_were():
    none = History()
    one = none.plus(CURVE[0])
    two, other = one.plus(CURVE[1]), one.plus(CURVE[2])
    assert [list(history) for history in (none, one, two, other)] == [
        [],
        [CURVE[0]],
        [CURVE[0], CURVE[1]],
        [CURVE[0], CURVE[2]],
    ]
    assert (two[-1], two[0], two[:1], len(two), bool(none)) == (CURVE[1], CURVE[0], [CURVE[0]], 2, False)
    assert list(reversed(other)) == [CURVE[2], CURVE[0]]
    with pytest.raises(IndexError):
        one[1]
