"""The run directory: what is written is read again, and a crash never leaves a half."""

import json
import math
import os
from pathlib import Path

import pytest

from trainjobs.coordination import Decision, Outcome
from trainjobs.exits import CannotCreate, DataError, Exit, NoInput, StorageError
from trainjobs.runs import directory
from trainjobs.runs.directory import RunDirectory, append_line, write_whole
from trainjobs.runs.events import Progress, Warned
from trainjobs.stopping import Observation


@pytest.fixture
def place(tmp_path):
    made = RunDirectory(tmp_path / "runs" / "mnist")
    made.create()
    return made


def seen(epoch, **metrics):
    return Observation(epoch=epoch, step=epoch * 10, seconds=epoch / 2, metrics=metrics)


def test_a_directory_that_is_not_there_is_no_run(tmp_path):
    place = RunDirectory(tmp_path / "absent")
    assert not place.exists()
    assert not place.finished()
    assert place.result() is None
    assert place.history() == ()
    assert place.holder() is None
    with pytest.raises(NoInput, match="no such run directory"):
        place.job()


def test_a_directory_without_a_manifest_is_no_run(place):
    with pytest.raises(NoInput, match=r"not a run directory \(it holds no trainjob.yaml\)"):
        place.job()


def test_a_history_is_read_as_it_was_written(place):
    history = (seen(1, val_loss=0.5), seen(2, val_loss=math.inf))
    place.write_history(history[:1])
    place.append_observation(history[1])
    assert place.history() == history


def test_nan_survives_the_directory(place):
    place.append_observation(seen(1, val_loss=math.nan))
    assert math.isnan(place.history()[0].metrics["val_loss"])


def test_a_line_torn_by_a_crash_is_not_there(place):
    place.append_observation(seen(1, val_loss=0.5))
    with (place.path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 2, "st')
    assert place.history() == (seen(1, val_loss=0.5),)


def test_a_line_after_a_torn_one_is_whole(place):
    path = place.path / "history.jsonl"
    path.write_text('{"epoch": 2, "st')
    place.append_observation(seen(2, val_loss=0.4))
    assert place.history() == (seen(2, val_loss=0.4),)


@pytest.mark.parametrize(
    "damage",
    ["not json", "[]", '{"epoch": 1}', "3"]
    + [
        json.dumps({"epoch": 1, "step": 5, "seconds": 1.0, "metrics": {}} | part)
        for part in (
            {"seconds": 1e308},
            {"seconds": -1},
            {"step": 10**400},
            {"epoch": -1},
            {"seconds": 1e400},
        )
    ],
)
def test_a_damaged_line_is_named(place, damage):
    place.append_observation(seen(1, val_loss=0.5))
    with (place.path / "history.jsonl").open("a") as file:
        file.write(damage + "\n")
    with pytest.raises(DataError, match=r"history\.jsonl:2: damaged line") as caught:
        place.history()
    assert caught.value.exit_code == Exit.DATA


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", "\x00", '{"conditions": 5}', '{"conditions": "ab"}', '{"conditions": [5]}']
)
def test_a_damaged_result_is_named(place, damage):
    (place.path / "result.json").write_text(damage)
    with pytest.raises(DataError, match=r"result\.json: damaged"):
        place.result()


FILES = ["history.jsonl", "events.jsonl", "result.json"]
READ = {
    "history.jsonl": RunDirectory.history,
    "events.jsonl": RunDirectory.events,
    "result.json": RunDirectory.result,
}


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def circle(path):
    path.symlink_to(path)


def deep(path):
    path.write_text("[" * 200_000 + "\n")


def huge(path):
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [pipe, endless, circle, deep, huge, Path.mkdir])
def test_what_somebody_has_put_in_place_of_a_file_is_damage_and_keeps_nobody_waiting(
    place, file, damage, monkeypatch
):
    monkeypatch.setattr(directory, "LONGEST", 2**20)
    damage(place.path / file)
    with pytest.raises((DataError, StorageError), match=file):
        READ[file](place)


@pytest.mark.parametrize("damage", [pipe, endless, circle, Path.mkdir])
@pytest.mark.parametrize("asked", [RunDirectory.exists, RunDirectory.job])
def test_something_else_in_place_of_the_manifest_is_not_taken_for_a_run_that_never_began(
    place, damage, asked
):
    damage(place.manifest)
    with pytest.raises((DataError, StorageError), match=f"{place.path}"):
        asked(place)


def test_nobody_waits_at_a_pipe_in_place_of_the_lock_or_a_file_to_append_to(place):
    for file in ("lock", "history.jsonl"):
        os.mkfifo(place.path / file)
    assert place.holder() is None
    with pytest.raises(StorageError, match="lock: "), place.hold():
        pass
    with pytest.raises(StorageError, match=r"history\.jsonl: "):
        place.append_observation(seen(1, val_loss=0.5))


@pytest.mark.parametrize("folder", ["../other", "a/b", "\x1b[2J"])
def test_the_folder_of_a_storage_is_below_it(place, folder):
    (place.path / "storage-folder").write_text(folder)
    with pytest.raises(DataError, match="storage-folder: damaged"):
        place.storage_folder()


@pytest.mark.parametrize(
    ("conditions", "finished"),
    [
        ([{"type": "Complete", "status": "True"}], True),
        ([{"type": "Complete", "status": "False"}], False),
        ([{"type": "Failed", "status": "True"}], False),
        ([{"type": "Failed", "status": "False"}, {"type": "Complete", "status": "True"}], True),
        ([], False),
    ],
)
def test_a_run_is_finished_when_it_is_complete(place, conditions, finished):
    place.write_result({"conditions": conditions})
    assert place.finished() is finished


def test_a_result_without_conditions_is_not_finished(place):
    place.write_result({})
    assert not place.finished()


def test_a_run_that_goes_on_has_no_result(place):
    place.write_result({"conditions": [{"type": "Complete", "status": "True"}]})
    place.clear_result()
    place.clear_result()
    assert place.result() is None


def test_a_result_holds_numbers_that_json_cannot(place):
    place.write_result({"value": math.nan, "steps": {0: 7}})
    assert place.result() == {"value": "nan", "steps": {"0": 7}}


def test_events_are_kept_with_their_time_but_progress_is_not(place):
    place.append_event(Progress(epoch=1, step=1, batch=1, batches=None, seconds=0.1), 100.0)
    place.append_event(Warned("disk almost full"), 100.25)
    assert place.events() == (Warned("disk almost full"),)
    assert json.loads((place.path / "events.jsonl").read_text())["time"] == 100.25


def test_decisions_are_read_as_they_were_written(place):
    decision = Decision(Outcome.EARLY_STOPPED, None, "flat", None, 0.5, None, None, 5, 5, 1.0)
    place.append_decision(decision)
    assert place.decisions() == (decision.to_dict(),)


def test_a_write_that_fails_leaves_the_old_content(place, monkeypatch):
    path = place.path / "result.json"
    write_whole(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in place.path.iterdir()] == ["result.json"]


def test_moving_aside_deletes_nothing_and_takes_the_first_free_name(place):
    write_whole(place.path / "result.json", "first")
    assert place.move_aside().name == "mnist.1"
    place.create()
    assert place.move_aside().name == "mnist.2"
    assert (place.path.parent / "mnist.1" / "result.json").read_text() == "first"
    assert not place.path.exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CannotCreate, match="is a file"):
        RunDirectory(tmp_path / "taken").create()
    with pytest.raises(CannotCreate, match="a part of this path is a file"):
        RunDirectory(tmp_path / "taken" / "run").create()


def test_lines_are_appended_not_replaced(place):
    path = place.path / "lines.jsonl"
    for number in range(3):
        append_line(path, {"number": number})
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_a_file_in_the_place_of_the_directory_is_one_error(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(StorageError, match="Not a directory"):
        write_whole(tmp_path / "run" / "result.json", "{}")
