"""`replay` of many runs, and what it suggests."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from trainjobs.cli.app import app

ROOT = Path(__file__).parents[2]
LATE = [0.9, 0.5, 0.6, 0.6, 0.6, 0.1]
EARLY = [0.9, 0.5, 0.6, 0.6, 0.6, 0.7]


def csv(**columns):
    rows = zip(*columns.values(), strict=True)
    lines = (",".join(map(str, (epoch, *row))) for epoch, row in enumerate(rows, start=1))
    return "\n".join([",".join(["epoch", *columns]), *lines, ""])


def program(path):
    """A benchmark as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def replay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("c.yaml").write_text(
        "monitor: val_loss\ncriteria: [{plateau: {patience: 2}}, {plateau: {patience: 9}}]\n"
    )
    Path("auto.yaml").write_text("monitor: val_loss\ncriteria: [{auto: {}}]\n")
    Path("past").mkdir()
    Path("past/late.csv").write_text(csv(val_loss=LATE, test_loss=[1.0, 0.6, 0.7, 0.7, 0.7, 0.4]))
    Path("past/early.csv").write_text(csv(val_loss=EARLY, test_loss=EARLY))

    def invoke(*arguments):
        return CliRunner().invoke(app, ["replay", *arguments])

    return invoke


def document(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_of_many_runs_each_criterion_is_told_by_what_it_saved_and_gave_up(replay):
    found = document(replay("past", "-c", "c.yaml", "-o", "json"))
    first, second = found["criteria"]
    assert (found["runs"], first["name"], first["stopped"], second["stopped"]) == (2, "plateau", 2, 0)
    assert first["saved"] == pytest.approx(1 / 3)
    assert first["given_up"]["val_loss"] == pytest.approx({"mean": 0.2, "p95": 0.4, "worst": 0.4})
    assert first["given_up"]["test_loss"] == pytest.approx({"mean": 0.1, "p95": 0.2, "worst": 0.2})
    assert second["given_up"]["test_loss"] == {"mean": 0, "p95": 0, "worst": 0}


def test_files_and_directories_may_stand_beside_each_other(replay):
    assert document(replay("past/late.csv", "past", "-c", "c.yaml", "-o", "json"))["runs"] == 3


def test_people_read_a_table(replay):
    lines = replay("past", "-c", "c.yaml").stdout.splitlines()
    assert lines[0] == "What each criterion alone would have done to 2 runs"
    assert lines[3].split() == ["plateau", "2", "33.3", "%", "0.1", "0.2", "0.2"]
    words = " ".join(" ".join(lines).split())
    assert "given up test_loss of the best checkpoint" in words
    assert "2 runs: too few" in words


def test_a_curve_that_cannot_be_judged_is_named_and_the_others_are_judged(replay):
    Path("past/broken.csv").write_text("val_loss\nx\n")
    Path("past/other.csv").write_text("loss\n1\n")
    found = document(replay("past", "-c", "c.yaml", "-o", "json"))
    assert found["runs"] == 2
    why = {one["curve"]: one["reason"] for one in found["skipped"]}
    assert "'x' is not a number" in why["past/broken.csv"]
    assert 'metric "val_loss" was not reported' in why["past/other.csv"]


def test_curves_of_which_none_can_be_judged_are_an_error(replay):
    done = replay("past", "past/late.csv", "-c", "other.yaml")
    Path("other.yaml").write_text("monitor: loss\ncriteria: [{plateau: {patience: 2}}]\n")
    done = replay("past", "-c", "other.yaml")
    assert done.exit_code == 65
    assert 'metric "loss" was not reported at epoch 6; reported: val_loss, test_loss' in done.stderr


def test_the_longest_curve_is_the_length_unless_somebody_says_it(replay):
    Path("past/short.csv").write_text(csv(val_loss=[0.5, 0.4], test_loss=[0.5, 0.4]))
    assert document(replay("past", "-c", "auto.yaml", "-o", "json"))["length"]["amount"] == 6
    assert document(replay("past", "-c", "auto.yaml", "--max-epochs", "9", "-o", "json"))["length"] is None
    assert document(replay("past", "-c", "c.yaml", "-o", "json"))["length"] is None
    assert "taken to be 6 epochs" in replay("past", "-c", "auto.yaml").stdout


def test_the_length_of_a_single_curve_is_its_end_unless_somebody_says_it(replay):
    words = " ".join(replay("past/late.csv", "-c", "auto.yaml").stdout.split())
    assert "length taken to be 6 epochs, the end of the curve; --max-epochs says what was planned" in words
    words = " ".join(replay("past/late.csv", "-c", "auto.yaml", "--max-epochs", "400").stdout.split())
    assert "rule 1 of auto waits for 33" in words
    assert "taken to be" not in words


def test_the_metric_that_tells_what_was_given_up_can_be_named(replay):
    found = document(replay("past", "-c", "c.yaml", "--test-metric", "val_loss", "-o", "json"))
    assert found["metrics"][-1] == "val_loss"
    done = replay("past", "-c", "c.yaml", "--test-metric", "f1")
    assert done.exit_code == 65
    assert (
        "--test-metric f1: not all runs have reported it; all have reported: test_loss, val_loss"
        in done.stderr
    )


def test_of_one_run_too_the_test_metric_tells_what_was_given_up(replay):
    found = document(replay("past/late.csv", "-c", "c.yaml", "--test-metric", "test_loss", "-o", "json"))
    assert (found["runs"], found["metrics"]) == (1, ["val_loss", "test_loss"])
    done = replay("past/late.csv", "-c", "c.yaml", "--test-metric", "f1")
    assert (done.exit_code, "--test-metric f1: not all runs have reported it" in done.stderr) == (65, True)


def test_what_an_option_needs_is_named(replay):
    Path("none.yaml").write_text("criteria: [{budget: {epochs: 2}}]\n")
    done = replay("past", "-c", "none.yaml", "--test-metric", "test_loss")
    assert (done.exit_code, "stopping.monitor: --test-metric needs the metric" in done.stderr) == (78, True)
    done = replay("past", "-c", "c.yaml", "--give-up", "0.1")
    assert (done.exit_code, "--give-up is of a suggestion: add --suggest" in done.stderr) == (64, True)


def test_a_suggestion_is_what_saves_most_within_what_may_be_given_up(replay):
    done = replay("past", "-c", "c.yaml", "--suggest", "--give-up", "0.1")
    assert done.exit_code == 0, done.stderr
    tail = done.stdout.splitlines()[-7:]
    assert tail[0] == "Suggested: it saves most of those that give up at most 0.1 test_loss on average"
    found = document(replay("past", "-c", "c.yaml", "--suggest", "--give-up", "0.1", "-o", "json"))
    assert tail[-1].strip() == f"- {found['suggested']}"
    good = [one["given_up"]["test_loss"]["mean"] <= 0.1 for one in found["criteria"]]
    saved = [one["saved"] for one in found["criteria"]][: sum(good)]
    assert "plateau: {patience: 2}" in [one["name"] for one in found["criteria"]]
    assert good == sorted(good, reverse=True)
    assert saved == sorted(saved, reverse=True)
    found = document(replay("past", "-c", "c.yaml", "--suggest", "-o", "json"))
    assert found["at_most"] == pytest.approx(0.02 * (0.6 + 0.4) / 2)
    assert found["suggested"] is None


def test_a_suggestion_is_a_document_that_means_what_was_judged(replay):
    whole = {
        "monitor": "val_loss",
        "mode": "min",
        "smoothing": {"mean": {"window": 2}},
        "minEpochs": 2,
        "criteria": [{"threshold": {"value": 0.56}, "startAfter": {"epoch": 1}, "name": "mine"}],
        "restoreBest": True,
    }
    Path("whole.yaml").write_text(yaml.safe_dump({"stopping": whole}))
    told = replay("past", "-c", "whole.yaml", "--suggest", "--give-up", "1").stdout
    suggested = yaml.safe_load(told[told.index("  stopping:") :])["stopping"]
    assert suggested == {**whole, "criteria": [{"threshold": {"value": 0.56}, "startAfter": {"epoch": 1}}]}
    Path("again.yaml").write_text(yaml.safe_dump({"stopping": suggested}))
    (again,) = document(replay("past", "-c", "again.yaml", "-o", "json"))["criteria"]
    found = document(replay("past", "-c", "whole.yaml", "--suggest", "--give-up", "1", "-o", "json"))
    assert again["saved"] == found["criteria"][0]["saved"] > 0


def test_nothing_is_suggested_that_ends_a_run_before_its_first_checkpoint(replay):
    Path("past/nan.csv").write_text(csv(val_loss=["nan", *LATE[1:]], test_loss=LATE))
    Path("first.yaml").write_text("monitor: val_loss\ncriteria: [{nonFinite: {}}]\n")
    (found,) = document(replay("past", "-c", "first.yaml", "-o", "json"))["criteria"]
    assert (found["stopped"], found["given_up"]["test_loss"]["mean"]) == (1, "inf")
    told = replay("past", "-c", "first.yaml", "--suggest", "--give-up", "1").stdout
    assert "None saves epochs and gives up at most 1 test_loss on average" in " ".join(told.split())


def test_a_suggestion_needs_a_monitor(replay):
    Path("none.yaml").write_text("criteria: [{budget: {epochs: 2}}]\n")
    done = replay("past", "-c", "none.yaml", "--suggest")
    assert done.exit_code == 78
    assert "stopping.monitor: --suggest needs the metric" in done.stderr


def test_the_figures_are_those_of_the_benchmark(replay):
    """Every tenth judging run of 100 epochs, by the arithmetic of tests/benchmarks/stopping_quality.py."""
    benchmark = program(ROOT / "benchmarks/stopping_quality.py")
    runs = [run for run in benchmark.recorded() if run.which == "judging" and len(run.history) == 100][::10]
    Path("recorded").mkdir()
    for i, run in enumerate(runs):
        names = run.history[0].metrics
        columns = {name: [seen.metrics[name] for seen in run.history] for name in names}
        Path(f"recorded/{i}.csv").write_text(csv(**columns))
    Path("acc.yaml").write_text("monitor: val_accuracy\nmode: max\ncriteria: [{auto: {}}]\n")
    (ours,) = document(replay("recorded", "-c", "acc.yaml", "-o", "json"))["criteria"]
    theirs = benchmark.Row.of("auto", [benchmark.judged(run, benchmark.ON_ACCURACY)["auto"] for run in runs])
    assert 100 * ours["saved"] == pytest.approx(theirs.saved)
    assert 100 * ours["given_up"]["test_accuracy"]["worst"] == pytest.approx(theirs.points.worst)


SWEEP = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainSweep
metadata: {name: past}
spec:
  template: {spec: {trainer: {entrypoint: "train:train", maxEpochs: 6}}}
  parameters: {lr: {uniform: {min: 0.1, max: 1.0}}}
  maxTrials: 3
  objective: {metric: val_loss}
  pruning: {minTrials: 1, startAfter: {epoch: 0}, criteria: CRITERIA}
"""


@pytest.fixture
def sweep(replay):
    """`replay` by a sweep with these criteria."""

    def invoke(criteria, *arguments):
        Path("sweep.yaml").write_text(SWEEP.replace("CRITERIA", criteria))
        return replay("past", "--criteria", "sweep.yaml", *arguments)

    return invoke


def test_a_sweep_says_which_trials_it_would_have_pruned_when_and_at_what_regret(sweep):
    Path("past/bad.csv").write_text(csv(val_loss=[2.0, 1.9, 1.8, 1.7, 1.6, 1.5], test_loss=[2.0] * 6))
    done = sweep("[{median: {}}, {percentile: {keep: 20}, shadow: true}]")
    assert done.exit_code == 0, done.output
    assert "What pruning would have done to a sweep of 3 trials" in done.output
    assert "past/bad.csv after epoch 1: " in done.output
    assert "test_loss of the trial that would have been chosen" in done.output
    assert "all together" not in done.output  # a shadow prunes with nobody
    found = document(sweep("[{median: {}}, {successiveHalving: {}}]", "--output", "json"))
    assert [row["criteria"] for row in found["rows"]] == ["median", "successiveHalving", "all together"]
    assert found["rows"][0]["pruned"][0] | {"reason": ""} == {
        "trial": "past/bad.csv",
        "epoch": 1,
        "criterion": "median",
        "reason": "",
    }
    assert found["rows"][0]["regret"] == pytest.approx(
        found["rows"][0]["chosen"]["seen"]["metrics"]["test_loss"] - 0.4
    )
    assert found["best"]["trial"] == "past/late.csv"


@pytest.mark.parametrize(
    ("criteria", "arguments", "code", "words"),
    [
        ("[]", (), 78, "spec.pruning.criteria: is empty"),
        ("[{median: {}}]", ("--suggest",), 64, "--suggest: is for the criteria of one run"),
        ("[{median: {}}]", ("--max-epochs", "3"), 64, "--max-epochs"),
        ("[{median: {}}]", ("--test-metric", "none"), 65, "--test-metric none"),
        ("[{middle: {}}]", (), 78, "middle"),
    ],
)
def test_what_a_sweep_cannot_be_asked_is_said(sweep, criteria, arguments, code, words):
    done = sweep(criteria, *arguments)
    assert (done.exit_code, words in done.output) == (code, True), done.output


def test_one_trial_is_no_sweep(sweep):
    Path("past/late.csv").unlink()
    done = sweep("[{median: {}}]")
    assert done.exit_code == 65
    assert "name at least two" in done.output
