import pytest

from trainjobs.coordination import Outcome
from trainjobs.exits import Exit, StorageError
from trainjobs.stopping import Observation
from trainjobs.sweeps.driver import SweepRun, lacking, reached, slots_of
from trainjobs.sweeps.record import SweepDirectory, Table, Trial, TrialState
from trainjobs.sweeps.requests import FileControl

X = {"x": {"grid": [1, 2]}}


@pytest.mark.parametrize(
    ("asked", "workers", "cpus", "slots", "why"),
    [
        (None, 1, 4, 4, ""),
        (None, 2, 4, 2, ""),
        (None, 8, 4, 1, ""),
        (2, 2, 4, 2, ""),
        (8, 2, 4, 2, "parallelTrials 8 needs 16 CPUs and the machine has 4: 2 at a time, the others wait"),
    ],
)
def test_as_many_slots_as_fit_and_a_word_when_more_are_asked_for(sweep, asked, workers, cpus, slots, why):
    spec = sweep(X, parallelTrials=asked, trainer={"numProcPerNode": workers}).spec
    assert slots_of(spec, cpus) == (slots, why)


def row(number, state, objective=1.0, seconds=10.0):
    return Trial(f"{number:04}", {}, "grid", state, 1, objective, "", seconds)


@pytest.mark.parametrize(
    ("spec", "rows", "why"),
    [
        ({}, [row(1, TrialState.FINISHED)], ""),
        ({"goal": 0.5}, [row(1, TrialState.FINISHED)], ""),
        ({"goal": 1.0}, [row(1, TrialState.PRUNED)], "trial 0001 has reached the goal: val_loss 1, goal 1"),
        ({"maxFailedTrials": 1}, [row(1, TrialState.FAILED)], ""),
        (
            {"maxFailedTrials": 1},
            [row(1, TrialState.FAILED), row(2, TrialState.FAILED)],
            "2 trials have failed, more than maxFailedTrials 1",
        ),
        (
            {"budget": {"seconds": 20}},
            [row(1, TrialState.FINISHED), row(2, TrialState.RUNNING)],
            "trials have trained 20 s of budget.seconds 20",
        ),
    ],
)
def test_a_sweep_is_over_when_a_limit_is_reached(sweep, spec, rows, why):
    spec = sweep(X, **spec).spec
    assert reached(spec, Table(spec.objective, {r.name: r for r in rows})) == why


@pytest.mark.parametrize("code", [Exit.IO, Exit.USER_CODE])
def test_a_full_disk_is_no_trials_fault(sweep, tmp_path, code):
    directory = SweepDirectory(tmp_path)
    directory.begun(row(1, TrialState.PENDING))
    run = SweepRun(sweep(X, maxTrials=1), directory, tmp_path, lambda event: None)
    end = {"outcome": "Failed", "reason": "writing x: No space left on device", "saved_epochs": 0}
    run.reported({"trial": "0001", "done": True, "exit_code": int(code), **end})
    asked = FileControl(tmp_path / "trials" / "0001", tmp_path).take()
    if code is not Exit.IO:
        assert (directory.trials()["0001"].state, asked) == (TrialState.FAILED, None)
        return
    assert asked.outcome is Outcome.INTERRUPTED
    assert directory.trials()["0001"].state is TrialState.PENDING
    with pytest.raises(
        StorageError, match=r"trial 0001: writing x: No space left on device; --resume goes on"
    ):
        run.run()


def test_what_a_trial_warned_of_is_told_at_its_end_and_the_same_of_others_is_not(sweep, tmp_path):
    directory, told = SweepDirectory(tmp_path), []
    for number in (1, 2):
        directory.begun(row(number, TrialState.PENDING))
    run = SweepRun(sweep(X), directory, tmp_path, lambda event: told.append(event.message))
    end = {"done": True, "outcome": "Failed", "reason": "x", "saved_epochs": 0, "exit_code": 1}
    late = "mlflow has not taken all of the run"
    run.reported({**end, "trial": "0001", "warnings": [late]})
    run.reported({**end, "trial": "0002", "warnings": [late, "another"]})
    assert [message for message in told if message.startswith("trial ")] == [
        f"trial 0001: {late}",
        "trial 0002: another",
    ]


def test_a_trial_whose_history_is_damaged_is_named_and_all_else_is_known(sweep, tmp_path):
    directory, told = SweepDirectory(tmp_path), []
    for number in (1, 2):
        one = row(number, TrialState.FINISHED)
        directory.begun(one)
        directory.ended(one)
        directory.run(one.name).create()
        directory.run(one.name).write_history([Observation(1, 5, 1.0, {"val_loss": 2.0})])
    (directory.run("0001").path / "history.jsonl").write_bytes(b"\xff\n")
    run = SweepRun(sweep(X, maxTrials=2), directory, tmp_path, told.append)
    assert run.run()["state"] == "Complete"
    (event,) = told
    assert event.message.startswith("trial 0001 is compared with no other: ")
    assert "history.jsonl:1: damaged line" in event.message
    assert {name: curve.epochs for name, curve in run.curves.items()} == {"0001": (), "0002": (1,)}


@pytest.mark.parametrize("state", [state for state in TrialState if state.ended])
def test_a_trial_that_ends_by_itself_has_reported_its_objective(state):
    asked = (TrialState.STOP_REQUESTED, TrialState.FAILED)
    why = "" if state in asked else "it ended without a report of val_loss"
    assert lacking(state, False, "val_loss") == why
    assert lacking(state, True, "val_loss") == ""
