import math
import os

import pytest

from trainjobs.api.pruning import Objective
from trainjobs.exits import CannotCreate, DataError
from trainjobs.runs.requests import interrupt_request, prune_request
from trainjobs.stopping import Observation
from trainjobs.sweeps.record import SweepDirectory, Table, Trial, TrialState
from trainjobs.sweeps.requests import FileControl


def test_trials_are_what_their_lines_add_up_to(tmp_path):
    directory = SweepDirectory(tmp_path)
    first = Trial("0001", {"lr": 0.1}, "random")
    directory.begun(first)
    directory.begun(Trial("0002", {"lr": 0.2}, "random"))
    ended = Trial("0001", {"lr": 0.1}, "random", TrialState.FAILED, 3, math.nan, "why", 1.5, 7)
    directory.ended(ended)
    found = directory.trials()
    assert repr(found["0001"]) == repr(ended)
    assert (found["0002"].state, found["0002"].state.ended) == (TrialState.PENDING, False)


def test_a_line_that_a_crash_has_torn_is_passed_over_and_a_damaged_one_is_named(tmp_path):
    directory = SweepDirectory(tmp_path)
    directory.begun(Trial("0001", {}, "grid"))
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"trial": "00')
    assert list(directory.trials()) == ["0001"]
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"trials\.jsonl:2: damaged line"):
        directory.trials()


BEGUN = b'{"trial":"0001","parameters":{},"proposed":"grid"}\n'
ENDED = (
    b'{"trial":"0001","state":"Finished","epoch":%b,"objective":1,"reason":"","seconds":1,"saved_epochs":0}\n'
)
DAMAGE = {
    "not text": b"\xff\n",
    "not JSON": b"}\n",
    "no object": b"[]\n",
    "nested without end": b"[" * 100_000 + b"\n",
    "an infinite epoch": ENDED % b"1e999",
    "an end of no trial": ENDED.replace(b"0001", b"0007") % b"1",
    "a gap": BEGUN.replace(b"0001", b"0003"),
    "the same once more": BEGUN,
}


@pytest.mark.parametrize("line", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "trials.jsonl").write_bytes(BEGUN + line)
    with pytest.raises(DataError, match=r"trials\.jsonl:2: damaged line"):
        SweepDirectory(tmp_path).trials()


@pytest.mark.parametrize("name", ["sweep.yaml", "trials.jsonl", "result.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    directory = SweepDirectory(tmp_path)
    with pytest.raises(DataError, match=f"{name}: damaged, it is not a file"):
        {"sweep.yaml": directory.exists, "trials.jsonl": directory.trials, "result.json": directory.result}[
            name
        ]()


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '{"state": "Complete"}'])
def test_a_damaged_result_is_named(tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(DataError, match=r"result\.json: damaged"):
        SweepDirectory(tmp_path).result()


@pytest.mark.parametrize("name", ["history.jsonl", "result.json"])
def test_of_a_trial_whose_files_are_damaged_nothing_more_is_known_and_the_others_are(tmp_path, name):
    directory = SweepDirectory(tmp_path)
    for trial in ("0001", "0002"):
        directory.begun(Trial(trial, {}, "grid"))
        directory.run(trial).create()
        directory.run(trial).write_history([Observation(1, 5, 1.0, {"m": 2.0})])
    (directory.run("0001").path / name).write_text("damaged\n")
    one, other = directory.table(Objective(metric="m")).trials.values()
    assert (one.state, other.state, other.objective) == ("Pending", "Pending", 2.0)
    history, wrong = directory.history("0001")
    assert (len(history), "history.jsonl:1: damaged line" in wrong) == (
        (0, True) if "hist" in name else (1, False)
    )


def test_a_directory_that_a_crash_left_before_its_manifest_was_whole_is_ours(tmp_path):
    for name in ("lock", ".sweep.yaml.17.tmp"):
        (tmp_path / name).touch()
    SweepDirectory(tmp_path).check_ours()
    (tmp_path / "photos").touch()
    with pytest.raises(CannotCreate, match="holds files and no sweep"):
        SweepDirectory(tmp_path).check_ours()


@pytest.mark.parametrize("bad", ["../../etc", "x", ""])
def test_a_trial_of_no_name_of_ours_leads_nowhere(tmp_path, bad):
    (tmp_path / "trials.jsonl").write_text(f'{{"trial": "{bad}", "parameters": {{}}, "proposed": "grid"}}\n')
    with pytest.raises(DataError):
        SweepDirectory(tmp_path).trials()


@pytest.mark.parametrize(("mode", "best"), [("min", "0002"), ("max", "0003")])
def test_the_best_trial_is_finite_has_not_failed_and_of_equals_is_the_first(mode, best):
    rows = [
        Trial("0001", {}, "grid", TrialState.FINISHED, objective=math.nan),
        Trial("0002", {}, "grid", TrialState.PRUNED, objective=1.0),
        Trial("0003", {}, "grid", TrialState.FINISHED, objective=2.0),
        Trial("0004", {}, "grid", TrialState.FINISHED, objective=2.0 if mode == "max" else 1.0),
        Trial("0005", {}, "grid", TrialState.FAILED, objective=0.0 if mode == "min" else 9.0),
    ]
    table = Table(Objective(metric="m", mode=mode), {row.name: row for row in rows})
    assert table.best is not None
    assert table.best.name == best
    assert table.counts == {"Finished": 3, "Pruned": 1, "Failed": 1}


def test_a_request_to_a_trial_is_taken_once_and_one_to_all_by_each(tmp_path):
    directory = SweepDirectory(tmp_path)
    for name in ("0001", "0002"):
        directory.run(name).create()
    one, other = (FileControl(directory.run(name).path, tmp_path) for name in ("0001", "0002"))
    prune, leave = prune_request("worse", "median", "loss", 2.0), interrupt_request("Ctrl-C")
    assert directory.ask_trial("0001", prune)
    assert not directory.ask_trial("0003", prune)  # whose directory somebody has removed
    directory.ask(leave)
    assert [one.take(), one.take(), one.take()] == [prune, leave, None]
    assert [other.take(), other.take()] == [leave, None]


def test_a_trial_that_has_not_ended_stands_where_its_history_does(tmp_path):
    directory = SweepDirectory(tmp_path)
    directory.begun(Trial("0001", {}, "grid"))
    run = directory.run("0001")
    run.create()
    run.write_history([Observation(1, 5, 1.0, {"m": 2.0}), Observation(2, 10, 2.5, {"m": 3.0})])
    run.write_result({"state": "Interrupted", "conditions": []})
    (trial,) = directory.table(Objective(metric="m")).trials.values()
    assert (trial.state, trial.epoch, trial.objective, trial.seconds) == ("Interrupted", 2, 2.0, 2.5)


def test_two_sweeps_in_one_directory_are_refused(tmp_path):
    directory = SweepDirectory(tmp_path / "out")
    with (
        directory.hold(),
        pytest.raises(CannotCreate, match=r"in use by process .* choose another --sweep-dir"),
        directory.hold(),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"request": "Delete"}'])
def test_what_is_no_request_asks_nothing(tmp_path, content):
    (tmp_path / "request.json").write_text(content)
    assert FileControl(tmp_path, tmp_path / "none").take() is None
