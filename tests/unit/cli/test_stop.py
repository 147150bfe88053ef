"""`stop`, `list` and `logs` where no run is under way; with living runs they are tried in tests/processes."""

import shutil
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from trainjobs.cli.app import app
from trainjobs.coordination import Outcome
from trainjobs.exits import Exit
from trainjobs.runs.events import Halted, Printed


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_complete_run_is_named_as_what_it_is(recording):
    recording.early_stop()
    for named in ("mnist", "runs/mnist"):
        done = invoke("stop", named)
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "Stopped early by plateau after epoch 13 of 100, at step 910",
            "halted: step 910 on all 2 ranks, 41 ms after the decision",
        ]


def test_a_run_that_nothing_has_stopped_names_no_decision(recording):
    end = [Halted(None, {0: 7000, 1: 7000}, 0.0, True)]
    recording.play([*recording.beginning(), *recording.reports([0.5 / n for n in range(1, 101)]), *end])
    done = invoke("stop", "mnist")
    assert done.stdout == "Trained all 100 epochs; no criterion stopped the run\n"


def test_a_list_cuts_no_name_and_passes_over_what_cannot_be_read(recording):
    long = Path("runs") / ("m" * 90)
    end = recording.stop(Outcome.STOP_REQUESTED, "enough", 500)
    end[1] = replace(end[1], epochs=7, amid=True)
    recording.play([*recording.beginning(), *recording.reports([0.9, 0.8]), *end])
    shutil.copytree("runs/mnist", long)
    shutil.copytree("runs/mnist", "runs/spoiled")
    Path("runs/spoiled/trainjob.yaml").write_text("kind: {")
    done = invoke("list")
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["NAME", "STATE", "EPOCH", "BEST"],
        [str(long), "StopRequested", "7", "val_loss", "0.8"],
        ["runs/mnist", "StopRequested", "7", "val_loss", "0.8"],
    ]
    assert done.stderr.startswith("skipped runs/spoiled: runs/spoiled/trainjob.yaml")


def test_a_run_that_nobody_trains_cannot_be_stopped(recording):
    recording.play(recording.beginning(), close=False)
    done = invoke("stop", "mnist")
    assert done.exit_code == Exit.NO_INPUT
    assert done.stderr == "error: runs/mnist: nobody trains there, so there is nothing to stop\n"
    assert recording.place.job().spec.stop is None


def test_what_is_no_run_is_said(recording):
    done = invoke("logs", "nothing")
    assert done.exit_code == Exit.NO_INPUT
    assert "nothing: no such run directory" in done.stderr
    Path("sweeps/mnist").mkdir(parents=True)
    Path("sweeps/mnist/sweep.yaml").touch()
    done = invoke("stop", "sweeps/mnist")
    assert done.exit_code == Exit.USAGE
    assert "sweeps/mnist: is a sweep; name one of its trials" in done.stderr


def test_lines_are_told_with_their_rank_and_without_what_moves_a_cursor(recording):
    lines = [Printed(0, "one"), Printed(1, "two\x1b[2J"), Printed(0, "\x1b[31mthree\x1b[0m")]
    recording.play([*recording.beginning(), *lines])
    assert invoke("logs", "mnist").stdout == "rank 0: one\nrank 1: two\\x1b[2J\nrank 0: three\n"
    assert invoke("logs", "mnist", "--rank", "0", "--follow").stdout == "one\nthree\n"
    assert invoke("logs", "mnist", "--rank", "7").stdout == ""
