"""`run`: what a user sees and which directory it goes to; the driver is a recording here."""

import json
from pathlib import Path

import pytest
from played_run import run

from trainjobs.driver.forkserver import ForkServer
from trainjobs.exits import StorageError
from trainjobs.local.launching import named_cluster
from trainjobs.runs.directory import RunDirectory

MORE = ("--set", "spec.trainer.maxEpochs=200")


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


@pytest.mark.parametrize("spoil", [lambda manifest: manifest.write_text("kind: {"), Path.unlink])
def test_a_run_whose_manifest_was_spoiled_meanwhile_is_summed_up_all_the_same(driver, spoil):
    play = driver.play

    def play_and_spoil():
        code = play()
        spoil(Path("runs/mnist/trainjob.yaml"))
        return code

    driver.play = play_and_spoil
    done = run("mnist.yaml")
    assert done.exit_code == 0
    assert "Stopped early by plateau after epoch 13 of 100, at step 910\n" in done.stdout
    assert "the run is summed up by the manifest that it was begun with" in done.stderr
    assert "runs/mnist" in done.stderr


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_made(driver, monkeypatch):
    monkeypatch.setattr("trainjobs.tracking.trackers.find_spec", lambda package: None)
    assert run("mnist.yaml", "--run-dir", "unasked").exit_code == 0
    driver.asked.clear()
    done = run("mnist.yaml", "--set", "spec.reportTo=[tensorboard]")
    assert done.exit_code == 64
    assert (
        'spec.reportTo[0]: "tensorboard": is not installed where the run is driven: pip install tensorboard'
        in done.stderr
    )
    assert driver.asked == []


@pytest.mark.parametrize("name", ["history.jsonl", "events.jsonl", "result.json"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_run_that_cannot_be_summed_up_ends_with_its_own_exit_code(driver, recording, name, output):
    def play_and_spoil():
        code = recording.interrupt()
        Path("runs/mnist", name).write_text("{\n")
        return code

    driver.play = play_and_spoil
    done = run("mnist.yaml", "--output", output)
    assert done.exit_code == 75
    assert f"runs/mnist/{name}" in done.stderr
    assert "damaged" in done.stderr
    if output == "json":
        assert json.loads(done.stdout.splitlines()[-1]) == {"event": "Result", "exit_code": 75}


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


@pytest.mark.parametrize("arguments", [(), ("--output", "json")])
def test_a_terminal_or_log_that_is_gone_ends_no_run(driver, recording, monkeypatch, arguments):
    told = []

    def broken(text, out=None):
        told.append(text)
        raise StorageError("writing standard output: Input/output error")

    for module in ("views.plain", "views.writing"):
        monkeypatch.setattr(f"trainjobs.{module}.write_line", broken)
    monkeypatch.setattr("trainjobs.views.writing.silence", lambda _: None)
    monkeypatch.setattr("trainjobs.cli.run.told", lambda ended, *_: int(ended.exit_code))
    assert run("mnist.yaml", *arguments).exit_code == 0
    assert len(told) > 10


def test_a_home_that_there_is_not_is_a_sentence(driver):
    done = run("mnist.yaml", "--run-dir", "~nobody-of-this-name/x")
    assert (done.exit_code, done.stderr) == (
        64,
        "error: --run-dir ~nobody-of-this-name/x: there is no such home directory\n",
    )


def test_the_next_commands_choose_the_same_launcher(driver, recording):
    driver.play = recording.interrupt
    out = run("mnist.yaml", "--launcher", "ray", *MORE).stdout
    assert "run mnist.yaml --launcher ray --set spec.trainer.maxEpochs=200 --resume\n" in out
    assert "--launcher" not in run("mnist.yaml", "--fresh").stdout


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"RAY_ADDRESS": ""}, ""),
        ({"RAY_ADDRESS": "local"}, ""),
        ({"RAY_ADDRESS": "auto"}, "auto"),
        ({"RAY_ADDRESS": "10.0.0.7:6379"}, "10.0.0.7:6379"),
    ],
)
def test_a_cluster_is_one_that_rays_own_variable_names(environment, address):
    assert named_cluster(environment) == address


@pytest.mark.parametrize(("address", "starts"), [("", ["local"]), ("10.0.0.7:6379", [])])
def test_ray_starts_the_workers_where_a_cluster_is_named_and_this_command_elsewhere(
    driver, monkeypatch, address, starts
):
    started = []
    monkeypatch.setattr(ForkServer, "start", lambda _: started.append("local"))
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert run("mnist.yaml").exit_code == 0
    assert started == starts


def test_resume_and_fresh_exclude_each_other(driver):
    done = run("mnist.yaml", "--resume", "--fresh")
    assert done.exit_code == 64
    assert "choose one" in done.stderr


def test_the_users_own_error_ends_with_70_and_the_users_frames_once(driver, recording):
    driver.play = recording.fail
    done = run("mnist.yaml")
    assert done.exit_code == 70
    assert done.stdout.count('  File "train.py", line 7, in train\n    raise ValueError("bad batch")\n') == 1
    assert "failed on rank 1: ValueError: bad batch" in done.stdout
    assert (
        "Failed after the report of epoch 2 of 100, at step 140\nrank 1: ValueError: bad batch" in done.stdout
    )


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
        (["mnist.yaml", "--set", "spec.trainer.maxEpoch=3"], 64, 'did you mean "maxEpochs"?'),
        (["mnist.yaml", "--set", "spec.trainer.maxEpochs=0"], 64, "--set spec.trainer.maxEpochs=0: must be"),
        (
            ["mnist.yaml", "--launcher", "inline"],
            78,
            "spec.trainer.numNodes: 2: --launcher inline trains one worker; add --set spec.trainer.numNodes=1",
        ),
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
