"""A run of one rank that a framework drives, as it is kept in its directory."""

import threading

import pytest

from trainjobs.adapters.arguments import Arguments
from trainjobs.adapters.judged_run import START, Place
from trainjobs.adapters.kept_run import LONGEST, Terms, begin
from trainjobs.api.trainjob import Stop
from trainjobs.exits import CannotCreate
from trainjobs.runs.directory import RunDirectory

CURVE = [1.0, 0.8, 0.7, 0.75, 0.72, 0.71, 0.9, 0.6]


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


def started(directory, at=START, *, patience=2, max_epochs=8, max_steps=None):
    stopping = Arguments(monitor="loss", patience=patience).stopping()
    return begin(Terms("lightning", stopping, directory.path, max_epochs, max_steps), at)


def train(run, epochs, steps=2):
    """Epochs of so many steps; where the run was left, or came to its end."""
    at = START
    for epoch in epochs:
        for step in range(1, steps + 1):
            at = Place(epoch, (epoch - 1) * steps + step, whole=False)
            if run.poll(at):
                return at
        at = Place(epoch, epoch * steps)
        if run.report(at, {"loss": CURVE[epoch - 1]}).leave:
            return at
    return at


def edit(directory, **fields):
    job = directory.job()
    directory.write_job(job.model_copy(update={"spec": job.spec.model_copy(update=fields)}))


def test_it_stops_where_its_criterion_says_so_and_keeps_why(directory):
    run = started(directory)
    at = train(run, range(1, 9))
    run.end(at)
    assert (at.epoch, at.step) == (5, 10)
    assert run.decision.criterion == "plateau"
    assert directory.result()["state"] == "EarlyStopped"
    assert directory.result()["stopping"]["haltedSteps"] == {"0": 10}
    assert [seen.metrics["loss"] for seen in directory.history()] == CURVE[:5]
    assert directory.holder() is None


def test_it_ends_at_its_length(directory):
    run = started(directory, patience=9)
    run.end(train(run, range(1, 9)))
    assert (run.decision, directory.result()["state"]) == (None, "Finished")


def test_a_framework_that_names_no_end_has_the_longest(directory):
    started(directory, max_epochs=-1, max_steps=-1).end(START)
    assert directory.job().spec.trainer.max_epochs == LONGEST


def test_a_new_run_moves_the_earlier_one_aside(directory):
    for _ in range(2):
        run = started(directory)
        run.end(train(run, range(1, 3)))
    assert len(directory.history()) == 2
    assert len(RunDirectory(directory.path.with_name("run.1")).history()) == 2


def test_a_run_goes_on_with_the_reports_until_its_checkpoint(directory):
    run = started(directory)
    run.fail(train(run, range(1, 5)) and ValueError("lost power"))
    assert directory.result()["state"] == "Failed"
    run = started(directory, Place(3, 6))
    at = train(run, range(4, 9))
    run.end(at)
    assert at.epoch == 5
    assert [seen.epoch for seen in directory.history()] == [1, 2, 3, 4, 5]


def test_a_run_that_had_stopped_stops_again_at_once(directory):
    run = started(directory)
    at = train(run, range(1, 9))
    run.end(at)
    run = started(directory, at)
    assert run.poll(Place(6, 11, whole=False))
    run.end(at)
    assert directory.result()["state"] == "EarlyStopped"


def until(run, at=START):
    """Steps until the run is left."""
    tick = threading.Event()
    for step in range(1, 5000):
        at = Place(1, step, whole=False)
        if run.poll(at):
            return at
        tick.wait(0.005)
    raise AssertionError("never left")


def test_who_asks_for_a_stop_in_the_manifest_gets_it(directory):
    run = started(directory)
    edit(directory, stop=Stop(reason="good enough"))
    run.end(until(run))
    assert directory.result()["state"] == "StopRequested"
    assert run.decision.reason == "good enough"


def test_other_criteria_judge_the_whole_history(directory):
    run = started(directory, patience=9)
    train(run, range(1, 6))
    edit(directory, stopping=Arguments(monitor="loss", patience=2).stopping())
    run.end(until(run))
    assert directory.result()["state"] == "EarlyStopped"


def test_a_directory_of_other_files_is_left_alone(directory):
    directory.path.mkdir()
    (directory.path / "notes").touch()
    with pytest.raises(CannotCreate, match="is no run directory"):
        started(directory)


def test_reports_after_the_end_change_nothing(directory):
    run = started(directory)
    run.end(train(run, range(1, 3)))
    assert run.report(Place(3, 6), {"loss": 0.1}).metrics == {}
    assert len(directory.history()) == 2
