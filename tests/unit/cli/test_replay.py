"""`replay`: what criteria would have done."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainjobs.cli.app import app

CURVE = """\
epoch,step,seconds,val_loss
1,70,10,0.9
2,140,20,0.6
3,210,30,0.5
4,280,40,0.55
5,350,50,0.56
6,420,60,0.4
"""
BARE = "monitor: val_loss\ncriteria: [{plateau: {patience: 2}}]\n"
UNDER = "stopping:\n  monitor: val_loss\n  criteria: [{plateau: {patience: 2}}]\n"


@pytest.fixture
def replay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("curve.csv").write_text(CURVE)
    Path("bare.yaml").write_text(BARE)
    Path("under.yaml").write_text(UNDER)

    def invoke(*arguments):
        return CliRunner().invoke(app, ["replay", *arguments])

    return invoke


@pytest.mark.parametrize("criteria", ["bare.yaml", "under.yaml"])
def test_a_curve_is_judged_by_criteria_alone(replay, criteria):
    done = replay("curve.csv", "--criteria", criteria)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "Would have stopped early by plateau after epoch 5, at step 350",
        "val_loss 0.56 has not improved on 0.5 (epoch 3) for 2 reports",
    ]


def test_the_cost_of_stopping_stands_beside_what_it_saved(replay):
    words = " ".join(replay("curve.csv", "--criteria", "bare.yaml").stdout.split())
    assert "best val_loss 0.4, epoch 6" in words
    assert "best then 0.5, epoch 3, against 0.4 of the whole curve" in words
    assert "saved 1 of the 6 epochs recorded, 10 s" in words
    assert "maxEpochs" not in words


def test_with_a_manifest_what_is_saved_is_also_told_against_max_epochs(replay, recording):
    words = " ".join(replay("curve.csv", "--criteria", "mnist.yaml").stdout.split())
    assert "reported: val_loss" not in words
    recording.early_stop()
    words = " ".join(replay("runs/mnist", "--criteria", "mnist.yaml").stdout.split())
    assert "87 epochs, about 6 min 32 s (an estimate against your own maxEpochs 100)" in words


def test_a_run_directory_is_a_curve_and_knows_its_max_epochs(replay, recording):
    recording.early_stop()
    done = replay("runs/mnist", "--criteria", "bare.yaml")
    assert done.stdout.startswith("Would have stopped early by plateau after epoch 10, at step 700\n")
    assert "own maxEpochs 100)" in " ".join(done.stdout.split())


def test_a_replay_agrees_with_the_run(replay, recording):
    recording.early_stop()
    out = replay("runs/mnist", "--criteria", "mnist.yaml").stdout
    assert out.startswith("Would have stopped early by plateau after epoch 13, at step 910\n")
    assert "saves nothing of this curve, which ends there" in " ".join(out.split())


def test_each_criterion_alone_says_when_and_whether(replay, recording):
    recording.early_stop()
    words = " ".join(replay("runs/mnist", "--criteria", "mnist.yaml").stdout.split())
    assert "quick ━━━━━━━━━━ epoch 10 shadow, would stop: val_loss 0.4 has not improved on 0.398" in words
    assert "val_accuracy 0.9176 has not reached 0.99 would not have stopped it" in words


def test_a_curve_that_nothing_stops_says_so(replay):
    Path("patient.yaml").write_text(BARE.replace("2", "50"))
    out = replay("curve.csv", "--criteria", "patient.yaml").stdout
    assert out.startswith("No criterion would have stopped the run before its end in epoch 6\n")


def test_a_nan_in_the_curve_stops(replay):
    Path("nan.csv").write_text("val_loss\n0.5\nnan\n0.4\n")
    out = replay("nan.csv", "--criteria", "bare.yaml").stdout
    assert out.startswith("Would have stopped early by plateau after epoch 2, at step 2\n")


@pytest.mark.parametrize(
    ("curve", "criteria", "code", "message"),
    [
        ("absent.csv", "bare.yaml", 66, "error: reading absent.csv: No such file or directory"),
        ("curve.csv", "absent.yaml", 66, "error: reading absent.yaml: No such file or directory"),
        ("broken.csv", "bare.yaml", 65, "error: broken.csv:2: val_loss: 'x' is not a number"),
        ("curve.csv", "broken.yaml", 65, "broken.yaml:2: column"),
        ("curve.csv", "wrong.yaml", 78, "wrong.yaml:2: criteria[0].plateau.patience: 0: must be at least 1"),
        ("curve.csv", "wrong_under.yaml", 78, "stopping.criteria[0].plateau.patience: 0: must be at least 1"),
        ("curve.csv", "metric.yaml", 65, 'metric "val_los" was not reported at epoch 6'),
        ("empty", "bare.yaml", 66, "empty: not a run directory, and below it is no run, no CSV file"),
    ],
)
def test_mistakes_name_the_file_and_the_remedy(replay, curve, criteria, code, message):
    Path("empty").mkdir()
    Path("broken.csv").write_text("val_loss\nx\n")
    Path("broken.yaml").write_text("criteria: [\n}")
    Path("wrong.yaml").write_text(BARE.replace("2", "0"))
    Path("wrong_under.yaml").write_text(UNDER.replace("2", "0"))
    Path("metric.yaml").write_text(BARE.replace("val_loss", "val_los"))
    done = replay(curve, "--criteria", criteria)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stdout == ""


def test_a_run_without_reports_is_no_curve(replay, recording):
    recording.play(recording.beginning(), close=False)
    done = replay("runs/mnist", "--criteria", "bare.yaml")
    assert done.exit_code == 65
    assert "the run has not reported anything yet" in done.stderr


def test_the_replay_is_one_json_object(replay):
    again = json.loads(replay("curve.csv", "--criteria", "bare.yaml", "-o", "json").stdout)
    assert again["stopped_by"]["name"] == "plateau"
    assert again["criteria"][0]["stop"]["epoch"] == 5
    assert again["criteria"][0]["stop"]["saved"]["epochs"] == 1
    assert again["best"]["value"] == 0.4


def test_a_run_of_so_many_steps_is_judged_in_steps(replay, recording):
    recording.by_steps()
    out = replay("runs/mnist", "--criteria", "bare.yaml").stdout
    assert out.startswith("Would have stopped early by plateau in epoch 1, at step 1,000\n")
    words = " ".join(out.split())
    assert "saved 300 of the 1,300 steps recorded, 30 s" in words
    assert "4,000 steps, about 6 min 40 s (an estimate against your own maxSteps 5,000)" in words
    assert "step 1,000" in words
    assert "curve runs/mnist, 13 reports to step 1,300" in words
    assert "best val_loss 0.3975, step 1,100" in words
    assert "best then 0.398, step 800, against 0.3975 of the whole curve" in words
    recording.manifest.write_text(recording.manifest.read_text().replace("patience: 5", "patience: 500"))
    out = replay("runs/mnist", "--criteria", "mnist.yaml").stdout
    assert out.startswith("No criterion would have stopped the run before its end at step 1,300\n")
