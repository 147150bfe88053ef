"""`run`: what a user sees and which directory it goes to; the driver is a recording here."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainjobs.cli.app import app
from trainjobs.runtime.directory import RunDirectory
from trainjobs.runtime.exits import StorageError
from trainjobs.runtime.record import Result


@pytest.fixture
def driver(recording, monkeypatch):
    """Stands in for the driver: plays an early stop into the view, and remembers what it was asked."""

    class Driver:
        def __init__(self):
            self.asked = []
            self.play = recording.early_stop

        def train(self, job, place, sink, control, code):
            self.asked.append((job, place.path, code))
            assert place.exists()
            recording.events.clear()
            recording.job, recording.place = job, place
            exit_code = self.play()
            for event in recording.events:
                sink(event)
            return Result(exit_code, {})

    made = Driver()
    monkeypatch.setattr("trainjobs.runtime.driver.train", made.train)
    return made


def run(*arguments):
    return CliRunner().invoke(app, ["run", *arguments])


def test_a_run_is_told_and_summed_up(driver):
    done = run("mnist.yaml")
    assert done.exit_code == 0
    told, _, summed_up = done.stdout.partition("\n\n")
    assert told.startswith("starting 2 workers on 2 nodes\n")
    assert told.endswith("test  loss 0.405  accuracy 0.92")
    assert summed_up.startswith("Stopped early by plateau after epoch 13 of 100, at step 910\nval_loss 0.412")
    assert summed_up.endswith(
        "Next  trainjobs explain runs/mnist\n      trainjobs replay runs/mnist --criteria mnist.yaml\n"
    )


def test_the_driver_gets_the_overrides_and_the_manifests_folder(driver, tmp_path):
    run("mnist.yaml", "--set", "spec.trainer.maxEpochs=20", "--set", "spec.trainer.config.hidden=64")
    job, path, code = driver.asked[0]
    assert job.spec.trainer.max_epochs == 20
    assert job.spec.trainer.config == {"hidden": 64}
    assert path == Path("runs/mnist")
    assert code == tmp_path
    assert RunDirectory(path).job().spec.trainer.max_epochs == 20


def test_a_run_goes_where_it_is_told(driver):
    run("mnist.yaml", "--run-dir", "elsewhere/second")
    assert RunDirectory(Path("elsewhere/second")).finished()
    assert not Path("runs").exists()


def test_json_output_is_events_and_a_result(driver):
    lines = [json.loads(line) for line in run("mnist.yaml", "--output", "json").stdout.splitlines()]
    assert lines[0]["event"] == "Starting"
    assert lines[-1]["event"] == "Result"
    assert (lines[-1]["exit_code"], lines[-1]["state"]) == (0, "EarlyStopped")


def test_a_finished_run_is_told_again_and_not_trained_again(driver):
    run("mnist.yaml")
    for arguments in [(), ("--resume",)]:
        again = run("mnist.yaml", *arguments)
        assert again.exit_code == 0
        assert "already finished, not trained again; --fresh begins anew" in again.stderr
        assert "Stopped early by plateau" in again.stdout
    assert len(driver.asked) == 1


def test_fresh_moves_the_earlier_run_aside(driver):
    run("mnist.yaml")
    again = run("mnist.yaml", "--fresh")
    assert again.exit_code == 0
    assert "moved the earlier run to runs/mnist.1" in again.stderr
    assert len(driver.asked) == 2
    assert RunDirectory(Path("runs/mnist.1")).finished()
    assert RunDirectory(Path("runs/mnist")).finished()


def test_an_interrupted_run_is_75_and_can_be_resumed(driver, recording):
    driver.play = recording.interrupt
    first = run("mnist.yaml")
    assert first.exit_code == 75
    assert "trainjobs run mnist.yaml --resume\n" in first.stdout
    driver.play = recording.early_stop
    assert run("mnist.yaml", "--resume").exit_code == 0
    assert RunDirectory(Path("runs/mnist")).finished()


def test_the_resume_that_is_proposed_repeats_what_the_run_was_begun_with(driver, recording):
    driver.play = recording.interrupt
    done = run("mnist.yaml", "--set", "spec.trainer.config={hidden: 64}", "--run-dir", "second")
    proposed = "trainjobs run mnist.yaml --set 'spec.trainer.config={hidden: 64}' --run-dir second --resume\n"
    assert proposed in done.stdout


def test_an_unfinished_run_needs_a_word(driver, recording):
    driver.play = recording.interrupt
    run("mnist.yaml")
    again = run("mnist.yaml")
    assert again.exit_code == 73
    assert again.stderr == (
        "error: runs/mnist: holds an unfinished run; --resume goes on with it, "
        "--fresh moves it aside and begins anew\n"
    )
    assert len(driver.asked) == 1


def test_a_resume_with_another_model_is_refused(driver, recording):
    driver.play = recording.interrupt
    run("mnist.yaml")
    again = run("mnist.yaml", "--resume", "--set", "spec.trainer.config.hidden=64")
    assert again.exit_code == 78
    assert "runs/mnist: was begun with another spec.trainer.config.hidden;" in again.stderr
    assert RunDirectory(Path("runs/mnist")).job().spec.trainer.config == {"hidden": 128}


def test_a_resume_with_more_patience_is_welcome(driver, recording):
    driver.play = recording.interrupt
    run("mnist.yaml")
    again = run("mnist.yaml", "--resume", "--set", "spec.stopping.criteria[0].plateau.patience=9")
    assert again.exit_code == 75
    assert RunDirectory(Path("runs/mnist")).job().spec.stopping.criteria[0].plateau.patience == 9


def test_nothing_to_resume_begins_anew(driver):
    done = run("mnist.yaml", "--resume")
    assert done.exit_code == 0
    assert "nothing to resume, beginning anew" in done.stderr


def test_resume_and_fresh_exclude_each_other(driver):
    done = run("mnist.yaml", "--resume", "--fresh")
    assert done.exit_code == 64
    assert "choose one" in done.stderr


def test_the_users_own_error_ends_with_70_and_the_users_frames(driver, recording):
    driver.play = recording.fail
    done = run("mnist.yaml")
    assert done.exit_code == 70
    assert '  File "train.py", line 7, in train\n    raise ValueError("bad batch")\n' in done.stdout
    assert "failed on rank 1: ValueError: bad batch" in done.stdout
    assert "Failed after epoch 2 of 100, at step 140\nrank 1: ValueError: bad batch" in done.stdout


def test_a_directory_in_use_is_left_alone(driver):
    place = RunDirectory(Path("runs/mnist"))
    with place.hold():
        for arguments in [(), ("--resume",), ("--fresh",)]:
            done = run("mnist.yaml", *arguments)
            assert done.exit_code == 73
            assert "runs/mnist: in use by process" in done.stderr
    assert driver.asked == []


def test_a_full_disk_is_74(driver):
    def full():
        raise StorageError("writing runs/mnist/events.jsonl: No space left on device")

    driver.play = full
    done = run("mnist.yaml")
    assert done.exit_code == 74
    assert done.stderr == "error: writing runs/mnist/events.jsonl: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.yaml"], 66, "error: reading absent.yaml: No such file or directory\n"),
        (["broken.yaml"], 65, "broken.yaml:1: column"),
        (["mnist.yaml", "--set", "spec.trainer.maxEpoch=3"], 78, 'did you mean "maxEpochs"?'),
        (["mnist.yaml", "--set", "spec.trainer.maxEpochs=0"], 78, "--set spec.trainer.maxEpochs=0: must be"),
        (["mnist.yaml", "--run-dir", "mnist.yaml"], 73, "mnist.yaml: is a file; name a directory"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(driver, arguments, code, message):
    Path("broken.yaml").write_text("kind: [")
    done = run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert not Path("runs").exists()
    assert driver.asked == []
