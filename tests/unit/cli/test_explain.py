"""`explain`: the story of a run, from its directory alone."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from trainjobs.api.manifest import load
from trainjobs.cli.app import app
from trainjobs.coordination import Outcome
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Failed, FirstStep, Halted, Reported
from trainjobs.stopping import Observation


def explain(*arguments):
    return CliRunner().invoke(app, ["explain", "runs/mnist", *arguments])


def test_an_early_stop_is_explained_with_its_numbers(recording):
    recording.early_stop()
    done = explain()
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "Stopped early by plateau after epoch 13 of 100, at step 910",
        "val_loss 0.412 has not improved on 0.398 (epoch 8) by more than 0.001 for 5 reports",
    ]


def test_the_facts_of_an_early_stop_are_there(recording):
    recording.early_stop()
    words = " ".join(explain().stdout.split())
    assert "best val_loss 0.3975, epoch 11 (step 770)" in words
    assert "test loss 0.405 · accuracy 0.92" in words
    assert "halted step 910 on all 2 ranks, 41 ms after the decision" in words
    assert "trained 13 of 100 epochs in 58 s on 2 workers" in words
    assert "saved 87 epochs, about 6 min 32 s on each of 2 workers" in words
    assert "(an estimate against your own maxEpochs 100)" in words


def test_every_criterion_has_a_verdict(recording):
    recording.early_stop()
    words = " ".join(explain().stdout.split())
    assert "plateau ━━━━━━━━━━ 5/5 val_loss 0.412 has not improved on 0.398" in words
    assert "threshold ━━━━━╌╌╌╌╌ 0.9176/0.99 val_accuracy 0.9176 has not reached 0.99" in words
    assert "quick ━━━━━━━━━━ 2/2 shadow, would stop: val_loss 0.412" in words
    assert "budget ╌╌╌╌╌╌╌╌╌╌ held back at epoch 13 by startAfter epoch 50" in words


def test_it_needs_nothing_but_the_directory(recording, tmp_path, monkeypatch):
    recording.early_stop()
    elsewhere = tmp_path / "elsewhere"
    shutil.move("runs/mnist", elsewhere)
    monkeypatch.chdir("/")
    done = CliRunner().invoke(app, ["explain", str(elsewhere)])
    assert done.exit_code == 0
    assert "Stopped early by plateau" in done.stdout


def test_no_line_in_a_pipe_ends_in_blanks_or_has_control_codes(recording):
    recording.early_stop()
    lines = explain().stdout.splitlines()
    assert all(line == line.rstrip() and line.isprintable() for line in lines)


def test_an_interrupted_run_says_that_it_can_be_resumed(recording):
    recording.interrupt()
    out = explain().stdout
    assert out.startswith(
        "Interrupted after epoch 3 of 100, at step 222; it can be resumed at the next step\n"
    )
    assert "Ctrl-C received" in out
    assert "trainjobs run FILE --resume" in out
    assert "saved" not in out


def test_a_failed_run_shows_the_users_frames_and_the_rank(recording):
    recording.fail()
    out = explain().stdout
    assert out.startswith(
        "Failed after the report of epoch 2 of 100, at step 140\nrank 1: ValueError: bad batch\n"
    )
    assert '  File "train.py", line 7, in train\n' in out


def test_a_finished_run_names_no_criterion(recording):
    end = [0.5 - epoch / 1000 for epoch in range(100)]
    recording.play([*recording.beginning(), *recording.reports(end)])
    out = explain().stdout
    assert out.startswith("Trained all 100 epochs; no criterion stopped the run\n")
    assert "saved" not in out


def test_a_killed_run_says_how_far_it_came(recording):
    recording.play([*recording.beginning(), *recording.reports([0.9, 0.8])], close=False)
    out = explain().stdout
    assert out.startswith(
        "Not finished, and nobody is training it; it ended after the report of epoch 2 of 100, at step 140"
    )
    assert "--resume" in out


def test_of_a_killed_run_only_its_last_report_is_known(recording):
    amid = Reported(Observation(2, 100, 6.4, {"val_loss": 0.8, "val_accuracy": 0.5}, whole=False))
    recording.play([*recording.beginning(), *recording.reports([0.9]), amid], close=False)
    assert "it ended after the report in epoch 2 of 100, at step 100, without a word" in " ".join(
        explain().stdout.split()
    )


def test_a_run_without_a_report_can_be_explained(recording):
    recording.play(recording.beginning(), close=False)
    done = explain()
    assert done.exit_code == 0
    assert "before the first report" in done.stdout


def test_a_resume_forgets_the_interruption(recording):
    recording.interrupt()
    recording.place.clear_result()
    recording.play(recording.beginning(), close=False)
    assert explain().stdout.startswith("Not finished")


def test_a_life_that_ended_while_it_started_does_not_repeat_how_the_one_before_it_ended(recording):
    recording.fail()
    recording.place.clear_result()
    recording.play(recording.beginning()[:1], close=False)
    out = explain().stdout
    assert out.startswith(
        "Not finished, and nobody is training it; it ended after the report of epoch 2 of 100, at step 140"
    )
    assert "bad batch" not in out


def test_what_is_proposed_after_a_failure_is_a_resume_only_where_something_is_there(recording):
    recording.play([*recording.beginning()[:1], Failed(None, "RuntimeError", "no room", "", 1)])
    assert "trainjobs run FILE\n" in explain().stdout
    recording.fail()
    assert "trainjobs run FILE --resume\n" in explain().stdout


def test_a_run_that_another_process_trains_is_running(recording, monkeypatch):
    recording.play([*recording.beginning(), *recording.reports([0.9])], close=False)
    monkeypatch.setattr(RunDirectory, "holder", lambda place: 4711)
    out = explain().stdout
    assert out.startswith("Running in process 4711: after the report of epoch 1 of 100, at step 70\n")
    assert "Next" not in out


def test_restored_weights_name_their_epoch(recording):
    recording.early_stop()
    assert "runs/mnist; model.pt has the best weights, of epoch 11" in explain().stdout


def test_weights_in_a_storage_are_named_where_they_are(recording):
    recording.job = load(recording.manifest, ["spec.checkpoint.storage.uri=s3://bucket/runs"])
    recording.early_stop()
    assert "runs/mnist; s3://bucket/runs/mnist/model.pt has the best weights" in " ".join(
        explain().stdout.split()
    )


def test_an_end_without_a_decision_is_told_all_the_same(recording):
    recording.play([*recording.beginning(), *recording.reports([0.9]), Halted(None, {0: 70, 1: 70}, 0.0)])
    done = explain()
    assert (done.exit_code, "Trained all" in done.stdout) == (0, True)


def test_ranks_that_halted_apart_are_named(recording):
    reports = recording.reports([0.9])
    decided, halted, saved = recording.stop(Outcome.STOP_REQUESTED, "good enough", 70)
    apart = type(halted)(halted.decision, {0: 70, 1: 71}, 3.0)
    recording.play([*recording.beginning(), *reports, decided, apart, saved])
    out = explain().stdout
    assert out.startswith("Stopped on request after epoch 1 of 100, at step 71\ngood enough\n")
    assert "steps differ: rank 0 at 70, rank 1 at 71" in out


def test_a_history_without_the_metric_is_explained_all_the_same(recording):
    recording.interrupt()
    path = recording.place.path / "history.jsonl"
    path.write_text(path.read_text().replace("val_accuracy", "accuracy"))
    done = explain()
    assert done.exit_code == 0
    assert "The criteria cannot be judged by this history" in done.stdout
    assert '"val_accuracy" was not reported at epoch 1' in done.stdout


@pytest.mark.parametrize(
    ("file", "damage", "code", "message"),
    [
        ("trainjob.yaml", None, 66, "not a run directory (it holds no trainjob.yaml)"),
        ("trainjob.yaml", "kind: [", 65, "trainjob.yaml:1: column"),
        ("history.jsonl", '{"epoch": 1}\n', 65, "history.jsonl:1: damaged line"),
        ("events.jsonl", '{"event": "Nonsense"}\n', 65, "events.jsonl:1: damaged line"),
        ("result.json", "{", 65, "result.json: damaged, not JSON"),
        ("result.json", '{"state": "Nonsense"}', 65, "result.json: damaged, its state is not one of"),
    ],
)
def test_damage_is_named_by_file_and_line(recording, file, damage, code, message):
    recording.early_stop()
    path = recording.place.path / file
    path.unlink() if damage is None else path.write_text(damage)
    done = explain()
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stdout == ""


def test_the_story_is_one_json_object(recording):
    recording.early_stop()
    story = json.loads(explain("--output", "json").stdout)
    assert story["state"] == "EarlyStopped"
    assert story["decision"]["criterion"] == "plateau"
    assert story["halted"] == {"0": 910, "1": 910}
    assert story["best"] == {"metric": "val_loss", "value": 0.3975, "epoch": 11, "step": 770, "report": 11}
    assert story["saved"] == {
        "epochs": 87,
        "steps": 87 * 70,
        "seconds": pytest.approx(391.5),
        "baseline": "MaxEpochs",
        "estimated": True,
    }
    assert [row["name"] for row in story["criteria"]] == ["plateau", "threshold", "quick", "budget"]


def test_a_start_is_told_by_its_stages(recording):
    start = FirstStep({"workers": 20.0, "setup": 4.5, "step": 0.5})
    recording.play([*recording.beginning(), start, *recording.reports([0.5])], close=False)
    words = " ".join(explain().stdout.split())
    assert "start first step after 25 s: workers 20 s, setup 4.5 s, step 0.5 s" in words
    assert json.loads(explain("--output", "json").stdout)["start"] == start.seconds


def test_no_colour_is_written_when_none_is_wanted(recording, monkeypatch):
    recording.early_stop()
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;32m" in explain().stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "32m" not in explain().stdout


def test_a_run_of_so_many_steps_is_told_in_steps(recording):
    recording.by_steps()
    words = " ".join(explain().stdout.split())
    assert "Stopped early by plateau in epoch 1, at step 1,300 of 5,000" in words
    assert "val_loss 0.412 has not improved on 0.398 (step 800) by more than 0.001" in words
    assert "budget ╌╌╌╌╌╌╌╌╌╌ held back at step 1300 by startAfter epoch 50" in words
    assert "trained 1,300 of 5,000 steps in 2 min 10 s on 2 workers, up after 6.2 s" in words
    assert (
        "saved 3,700 steps, about 6 min 10 s on each of 2 workers (an estimate against your own maxSteps 5,000)"
        in words
    )
    assert "best val_loss 0.3975, step 1,100" in words
    assert "last val_loss 0.412 · val_accuracy 0.5, step 1,300" in words
    assert "model.pt has the best weights, of step 1,100" in words
    story = json.loads(explain("--output", "json").stdout)
    assert (story["max_epochs"], story["max_steps"]) == (None, 5000)
    assert (story["saved"]["steps"], story["saved"]["baseline"]) == (3700, "MaxSteps")


def test_the_result_of_a_run_of_so_many_steps_is_in_steps(recording):
    recording.by_steps()
    accounting = recording.place.result()["accounting"]
    assert (accounting["baseline"], accounting["stepsSaved"], accounting["epochsSaved"]) == (
        "MaxSteps",
        3700,
        0,
    )


def test_a_stop_amid_an_epoch_saves_less_than_the_unfinished_epochs(recording):
    amid = Observation(3, 190, 12.5, {"val_loss": 0.5, "val_accuracy": 0.5}, whole=False)
    reports = [*recording.reports((0.9, 0.61)), Reported(amid)]
    end = recording.stop(Outcome.EARLY_STOPPED, "enough", 190, "plateau")
    recording.play([*recording.beginning(), *reports, *end])
    assert "last val_loss 0.5 · val_accuracy 0.5, amid epoch 3 (step 190)" in " ".join(
        explain().stdout.split()
    )
    words = " ".join(explain().stdout.split())
    assert "Stopped early by plateau in epoch 3 of 100, at step 190" in words
    assert "trained 2 of 100 epochs" in words
    assert "saved less than 98 epochs, about 7 min 18 s" in words
