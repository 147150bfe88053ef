"""What the driver keeps of a run: every event in the run directory, and at the end a result that tells it all."""

from dataclasses import replace

import pytest
from gpujob import JOB
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shadowed import SHADOWS, with_criteria

from trainjobs.api.status import TrainJobStatus
from trainjobs.coordination import Decision, Outcome
from trainjobs.exits import StorageError
from trainjobs.local.run_report import read
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    CriterionResult,
    Decided,
    Failed,
    Halted,
    Reported,
    Started,
)
from trainjobs.runs.recorder import RunRecorder
from trainjobs.stopping import Best, Observation


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


WHOLE = Observation(2, 100, 40.0, {})


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


STOPPED = Decision(Outcome.EARLY_STOPPED, "plateau", "flat", "val_loss", 0.5, 0.4, 3, 5, 5, 1.8e9)
INTERRUPTED = Decided(replace(STOPPED, outcome=Outcome.INTERRUPTED, reason="Ctrl-C"))


@pytest.mark.parametrize(
    ("told", "code", "state", "conditions"),
    [
        ([], 0, "Finished", [("Complete", "Finished", "trained all 10 epochs")]),
        (
            [Decided(STOPPED)],
            0,
            "EarlyStopped",
            [("EarlyStopped", "EarlyStopped", "flat"), ("Complete", "EarlyStopped", "flat")],
        ),
        ([INTERRUPTED], 75, "Interrupted", [("Suspended", "Interrupted", "Ctrl-C")]),
        ([Failed(1, "ValueError", "bad", "", 70)], 70, "Failed", [("Failed", "ValueError", "bad")]),
        (
            [INTERRUPTED, Failed(None, "RankLost", "lost", "", 1)],
            1,
            "Failed",
            [("Failed", "RankLost", "lost")],
        ),
    ],
)
def test_a_result_has_the_code_the_state_and_the_conditions_of_its_end(
    tmp_path, told, code, state, conditions
):
    record = RunRecorder(JOB, RunDirectory(tmp_path), lambda _: None)
    for event in told:
        record.take(event)
    record.count(restarts=2, failed_attempts=1)
    result = record.close()
    document = result.document
    assert (result.exit_code, document["state"]) == (code, state)
    assert [(each["type"], each["reason"], each["message"]) for each in document["conditions"]] == conditions
    assert (document["restarts"], document["failedAttempts"]) == (2, 1)
    assert RunDirectory(tmp_path).result()["state"] == state


def test_an_event_is_kept_before_anybody_is_told_of_it(tmp_path):
    place = RunDirectory(tmp_path)
    kept = []
    record = RunRecorder(
        JOB, place, lambda _: kept.append((len(place.history()), len(tuple(place.events()))))
    )
    record.take(Started(1, 2, "cpu", 10, 2, 10, (WHOLE,)))
    record.take(Reported(WHOLE))
    assert kept == [(1, 1), (2, 2)]


def test_other_criteria_are_the_manifests_from_then_on(tmp_path):
    place = RunDirectory(tmp_path)
    record = RunRecorder(JOB, place, lambda _: None)
    record.take(CriteriaChanged(SHADOWS))
    assert record.job.spec.stopping == place.job().spec.stopping == SHADOWS
    assert record.job.spec.trainer == JOB.spec.trainer


def test_a_failure_that_cannot_be_kept_is_told_all_the_same(tmp_path, monkeypatch):
    def full(*_):
        raise StorageError("no space left")

    monkeypatch.setattr(RunDirectory, "append_event", full)
    told = []
    record = RunRecorder(JOB, RunDirectory(tmp_path), told.append)
    failure = Failed(None, "StorageError", "no space left", "", 74)
    record.fail(failure)
    assert told == [failure]
    with pytest.raises(StorageError):
        record.take(failure)
