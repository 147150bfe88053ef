"""What `run` begins in a directory: a new run, a resume, more training, or nothing; and what it leaves alone."""

import os
from pathlib import Path

import pytest
from played_run import run

from trainjobs.coordination import Outcome
from trainjobs.driver.driver import storage_uri
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Halted
from trainjobs.runs.storage import storage_at
from trainjobs.runtime.checkpoint.contents import Contents, Position
from trainjobs.runtime.checkpoint.store import Checkpoints


def test_a_finished_run_is_told_again_and_not_trained_again(driver):
    run("mnist.yaml")
    for arguments, more in [
        (
            (),
            "--resume with other criteria trains on, --fresh begins anew",
        ),
        (
            ("--resume",),
            "change spec.stopping to train on, or begin anew with --fresh",
        ),
    ]:
        again = run("mnist.yaml", *arguments)
        assert again.exit_code == 0
        assert f"already finished, not trained again; {more}\n" in again.stderr
        assert "Stopped early by plateau" in again.stdout
    assert len(driver.asked) == 1


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (None, "raise spec.trainer.maxEpochs to train on, or begin anew with --fresh"),
        (
            Outcome.STOP_REQUESTED,
            "raise spec.trainer.maxEpochs or change spec.stopping to train on, or begin anew with --fresh",
        ),
    ],
)
def test_what_is_said_of_training_on_is_what_would_train_on(driver, recording, outcome, more):
    end = recording.stop(outcome, "enough", 140) if outcome else [Halted(None, {0: 140, 1: 140}, 0.0, True)]
    driver.play = lambda: recording.play([*recording.beginning(), *recording.reports([0.9, 0.8]), *end])
    run("mnist.yaml")
    assert f"already finished, not trained again; {more}\n" in run("mnist.yaml", "--resume").stderr


def test_fresh_moves_the_earlier_run_aside(driver):
    run("mnist.yaml")
    again = run("mnist.yaml", "--fresh")
    assert again.exit_code == 0
    assert "moved the earlier run to runs/mnist.1" in again.stderr
    assert len(driver.asked) == 2
    assert RunDirectory(Path("runs/mnist.1")).finished()
    assert RunDirectory(Path("runs/mnist")).finished()


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


@pytest.fixture
def checkpoint(driver):
    """A checkpoint as a run leaves one, where `run` looks for it; nobody reads it here."""

    def put():
        position = Position(epoch=13, step=910, batch=0, reported=True, seconds=58.5)
        storage = storage_at(str(Path("runs/mnist").absolute()))
        Checkpoints(storage, keep=2).save(Contents(position, {}, (), [{}]))

    return put


VAL_LOSS = (0.9, 0.6, 0.5)
MORE = ("--set", "spec.trainer.maxEpochs=200")
PATIENT = ("--set", "spec.stopping.criteria[0].plateau.patience=9")
WIDER = ("--set", "spec.trainer.config.hidden=64")
FEWER = ("--set", "spec.trainer.maxEpochs=5", "--set", "spec.stopping.criteria=[]")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*MORE], 73, "changed since and not applied: spec.trainer.maxEpochs. --resume trains on with them"),
        (
            [*PATIENT, *MORE],
            73,
            "not applied: spec.trainer.maxEpochs, spec.stopping.criteria[0].plateau.patience. ",
        ),
        ([*WIDER], 73, "not applied: spec.trainer.config.hidden. --fresh begins anew with them"),
        (["--resume", *WIDER], 78, "was begun with another spec.trainer.config.hidden; put it back"),
        (["--resume", *WIDER, *MORE], 78, "was begun with another spec.trainer.config.hidden; put it back"),
        (
            ["--resume", *FEWER],
            0,
            "nothing to train: it has trained 13 epochs, and spec.trainer.maxEpochs is 5; raise it",
        ),
        (
            ["--resume", *PATIENT, "--set", "spec.stop={}"],
            0,
            "nothing to train: spec.stop is set; take it out",
        ),
    ],
)
def test_a_finished_run_that_is_not_trained_on_says_why(driver, checkpoint, arguments, code, said):
    run("mnist.yaml")
    checkpoint()
    before = Path("runs/mnist/trainjob.yaml").read_text(), Path("runs/mnist/result.json").read_text()
    again = run("mnist.yaml", *arguments)
    assert again.exit_code == code
    assert said in again.stderr
    assert len(driver.asked) == 1
    assert before == (
        Path("runs/mnist/trainjob.yaml").read_text(),
        Path("runs/mnist/result.json").read_text(),
    )


@pytest.mark.parametrize("change", [MORE, PATIENT, (*MORE, *PATIENT)])
def test_a_finished_run_is_trained_on_by_a_resume_with_other_limits_or_criteria(
    driver, recording, checkpoint, change
):
    run("mnist.yaml")
    checkpoint()
    driver.play = lambda: recording.play([*recording.beginning(), *recording.reports(VAL_LOSS)])
    again = run("mnist.yaml", "--resume", *change)
    assert again.exit_code == 0
    assert "trained on from its last checkpoint, with the last weights, not the best" in again.stderr
    assert len(driver.asked) == 2


def test_a_run_that_was_stopped_on_request_is_trained_on_only_when_asked(driver, checkpoint):
    run("mnist.yaml", "--set", "spec.stop={reason: enough}")
    checkpoint()
    assert run("mnist.yaml").exit_code == 0
    assert len(driver.asked) == 1
    assert run("mnist.yaml", "--resume").exit_code == 0
    assert len(driver.asked) == 2


def test_a_finished_run_without_its_checkpoint_is_not_begun_anew_in_silence(driver):
    run("mnist.yaml")
    again = run("mnist.yaml", "--resume", *MORE)
    assert again.exit_code == 66
    assert "its last checkpoint is gone" in again.stderr
    assert len(driver.asked) == 1


def test_an_interrupted_run_may_be_made_longer_but_not_shorter_than_it_is(driver, recording, checkpoint):
    driver.play = recording.interrupt
    run("mnist.yaml")
    checkpoint()
    again = run(
        "mnist.yaml", "--resume", "--set", "spec.trainer.maxEpochs=3", "--set", "spec.stopping.criteria=[]"
    )
    assert again.exit_code == 78
    assert (
        "it has trained 3 epochs, and spec.trainer.maxEpochs is 3; raise it, or put it back" in again.stderr
    )
    assert run("mnist.yaml", "--resume", *MORE).exit_code == 75
    assert driver.asked[-1][0].spec.trainer.max_epochs == 200


@pytest.mark.parametrize("arguments", [(), ("--resume",)])
def test_a_run_that_never_reported_begins_without_a_word(driver, recording, arguments):
    driver.play = lambda: recording.play(recording.beginning(), close=False) or 1
    run("mnist.yaml")
    driver.play = recording.early_stop
    assert run("mnist.yaml", *arguments).exit_code == 0
    assert len(driver.asked) == 2


def test_a_run_that_never_reported_but_kept_a_checkpoint_needs_a_word(driver, recording, checkpoint):
    driver.play = lambda: recording.play(recording.beginning(), close=False) or 1
    run("mnist.yaml")
    checkpoint()
    assert run("mnist.yaml").exit_code == 73
    assert run("mnist.yaml", "--resume").exit_code == 1


@pytest.fixture
def store(driver, tmp_path):
    """A storage beside the run directories, and what a run of the manifest would write and find there."""

    class Store:
        path = tmp_path / "store"
        setting = ("--set", f"spec.checkpoint.storage.uri={tmp_path / 'store'}")

        def of_last_run(self):
            job, place, _ = driver.asked[-1]
            return Path(storage_uri(job, RunDirectory(place)))

        def save(self, folder):
            position = Position(epoch=3, step=222, batch=12, reported=False, seconds=13.5)
            Checkpoints(storage_at(str(folder)), keep=2).save(Contents(position, {}, (), [{}]))

    return Store()


def test_fresh_begins_anew_in_the_storage_too_and_leaves_what_is_there(driver, recording, store):
    driver.play = recording.interrupt
    run("mnist.yaml", *store.setting)
    first = store.of_last_run()
    assert first == store.path / "mnist"
    store.save(first)
    before = sorted(first.rglob("*"))
    assert run("mnist.yaml", *store.setting, "--fresh").exit_code == 75
    second = store.of_last_run()
    assert not second.exists()
    store.save(second)
    assert run("mnist.yaml", *store.setting, "--resume").exit_code == 75
    assert store.of_last_run() == second
    run("mnist.yaml", *store.setting, "--fresh")
    assert len({first, second, store.of_last_run()}) == 3
    assert sorted(first.rglob("*")) == before


def test_checkpoints_in_the_storage_are_not_taken_by_another_run_without_a_word(driver, store):
    store.save(store.path / "mnist")
    done = run("mnist.yaml", *store.setting)
    assert done.exit_code == 73
    assert f"{store.path}/mnist: holds checkpoints of an earlier run; --resume goes on from " in done.stderr
    assert driver.asked == []
    fresh = run("mnist.yaml", *store.setting, "--fresh")
    assert (fresh.exit_code, fresh.stderr) == (0, "")
    assert store.of_last_run() != store.path / "mnist"


def test_a_run_is_resumed_from_its_storage_in_a_new_directory(driver, store):
    store.save(store.path / "mnist")
    store.save(store.path / "mnist.1")
    done = run("mnist.yaml", *store.setting, "--resume", "--run-dir", "elsewhere")
    assert done.exit_code == 0
    assert "nothing to resume" not in done.stderr
    assert store.of_last_run() == store.path / "mnist.1"


@pytest.fixture
def places(driver, monkeypatch, tmp_path):
    """Directories that nobody should name with --run-dir, by what they are."""
    for folder in ("work", "source", "lab", "home", "odd"):
        Path(folder).mkdir()
    Path("work/notes.txt").write_text("keep")
    Path("source/trainjob.yaml").write_text(Path("mnist.yaml").read_text())
    Path("source/train.py").touch()
    Path("lab/lock").touch()
    Path("lab/results.csv").touch()
    Path("home/notes.txt").touch()
    Path("odd/trainjob.yaml").write_text("kind: Deployment\napiVersion: apps/v1\n")
    Path("odd/lock").touch()
    Path("dangling").symlink_to("nowhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("flags", [(), ("--resume",), ("--fresh",)], ids=["", "resume", "fresh"])
@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        (
            "work",
            73,
            "error: work: holds files and is no run directory, so nothing is written there or moved",
        ),
        ("source", 73, "error: source: holds files and is no run directory"),
        ("lab", 73, "error: lab: holds files and is no run directory"),
        (".", 73, "error: .: holds files and is no run directory"),
        ("~", 73, "home: holds files and is no run directory"),
        ("dangling", 73, "error: dangling: is a link that leads nowhere; name a directory"),
        ("mnist.yaml", 73, "error: mnist.yaml: is a file; name a directory"),
        ("mnist.yaml/below", 73, "error: mnist.yaml/below: a part of this path is a file"),
        ("/proc/none", 73, "error: /proc/none: cannot be created here; choose another --run-dir"),
        ("x" * 300, 74, "File name too long"),
    ],
)
def test_a_directory_that_is_no_runs_is_left_as_it_is(places, driver, place, code, said, flags):
    before = sorted(str(path) for path in Path().rglob("*"))
    done = run("mnist.yaml", "--run-dir", place, *flags)
    assert done.exit_code == code
    assert said in done.stderr
    assert sorted(str(path) for path in Path().rglob("*")) == before
    assert driver.asked == []


@pytest.mark.parametrize("flags", [(), ("--resume",)])
def test_a_run_directory_with_a_damaged_manifest_says_so(places, driver, flags):
    done = run("mnist.yaml", "--run-dir", "odd", *flags)
    assert done.exit_code == 65
    assert "odd: the run's own manifest is damaged; mend it, or begin anew with --fresh: " in done.stderr
    assert "Deployment" in done.stderr
    assert run("mnist.yaml", "--run-dir", "odd", "--fresh").exit_code == 0


@pytest.mark.parametrize("flags", [(), ("--resume",), ("--fresh",)], ids=["", "resume", "fresh"])
def test_a_pipe_in_place_of_the_runs_manifest_is_one_error(driver, flags):
    Path("piped").mkdir()
    os.mkfifo("piped/trainjob.yaml")
    Path("piped/lock").touch()
    done = run("mnist.yaml", "--run-dir", "piped", *flags)
    assert (done.exit_code, driver.asked) == (65, [])
    assert done.stderr == ("error: piped/trainjob.yaml: damaged, it is not a file; put the manifest back\n")


def test_the_current_directory_is_not_moved_from_under_ones_feet(driver, monkeypatch):
    run("mnist.yaml")
    monkeypatch.chdir("runs/mnist")
    done = run("../../mnist.yaml", "--run-dir", ".", "--fresh")
    assert done.exit_code == 73
    assert "error: .: is the current directory; leave it to move it aside" in done.stderr


def test_an_empty_directory_or_one_that_a_crash_left_is_used(driver):
    Path("empty").mkdir()
    assert run("mnist.yaml", "--run-dir", "empty").exit_code == 0
    Path("crashed").mkdir()
    Path("crashed/lock").touch()
    Path("crashed/.trainjob.yaml.71.tmp").touch()
    assert run("mnist.yaml", "--run-dir", "crashed").exit_code == 0


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


def test_a_resume_that_takes_back_an_edit_of_the_run_says_so(driver, recording):
    driver.play = recording.interrupt
    run("mnist.yaml")
    manifest = Path("runs/mnist/trainjob.yaml")
    manifest.write_text(manifest.read_text().replace("patience: 5", "patience: 50"))
    said = "runs/mnist: changed with this resume: spec.stopping.criteria[0].plateau.patience\n"
    assert said in run("mnist.yaml", "--resume").stderr
    assert "changed" not in run("mnist.yaml", "--resume").stderr


def test_nothing_to_resume_begins_anew(driver):
    done = run("mnist.yaml", "--resume")
    assert done.exit_code == 0
    assert "nothing to resume, beginning anew" in done.stderr


def test_a_directory_in_use_is_left_alone(driver):
    place = RunDirectory(Path("runs/mnist"))
    with place.hold():
        for arguments in [(), ("--resume",), ("--fresh",)]:
            done = run("mnist.yaml", *arguments)
            assert done.exit_code == 73
            assert "runs/mnist: in use by process" in done.stderr
    assert driver.asked == []


def test_whom_a_run_reports_to_may_change_with_a_resume(driver, recording, checkpoint):
    driver.play = recording.interrupt
    run("mnist.yaml", "--set", "spec.reportTo=[tensorboard]")
    checkpoint()
    again = run("mnist.yaml", "--set", "spec.reportTo=[]", "--resume")
    assert again.exit_code == 75
    assert "changed with this resume: spec.reportTo" in again.stdout + again.stderr
