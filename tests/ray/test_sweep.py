"""Real sweeps: Ray Tune, a slot, and trials in processes of their own."""

import json
import signal
import subprocess
import sys

import psutil
import pytest
import torch
from processes import until
from sweeps import sweep, trials
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import (
    SESSION_START_INFO_TAG,
    parse_session_start_info_plugin_data,
)

from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Started

PRUNING = {"minTrials": 1, "criteria": [{"median": {}}]}
WORSE_SECOND = 0
"""A seed with which the second trial's level is the greater one."""

TRAINJOBS = [sys.executable, "-c", "from trainjobs.cli import main; main()"]


def command(*words, **options):
    return subprocess.run(
        [*TRAINJOBS, *map(str, words)], check=False, capture_output=True, text=True, **options
    )


def begin(*words):
    return subprocess.Popen([*TRAINJOBS, *map(str, words)], stdout=subprocess.PIPE, text=True)


CASES = ["raises", "killed", "hung", "impossible", "nan", "unnamed", "bad", "good", "slotless"]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """One sweep in which nearly everything happens that can happen to a trial, each in the same slot."""
    folder = tmp_path_factory.mktemp("cases")
    together = {"/spec.trainer.maxEpochs": 5, "/spec.stopping.minEpochs": 6}  # each alone can be
    manifest = sweep(
        folder,
        {
            "case": {"grid": CASES},
            **{name: {"choice": [value], "when": {"case": "impossible"}} for name, value in together.items()},
        },
        template={"progressDeadlineSeconds": 10},
        search={"grid": {}},
        maxTrials=len(CASES) + 1,
        parallelTrials=1,
        pruning={**PRUNING, "startAfter": {"epoch": 3}},
        maxFailedTrials=5,
    )
    told = command("sweep", manifest, "--sweep-dir", folder / "out", timeout=500)
    left = [p for p in psutil.process_iter(["environ"]) if str(folder) in str(p.info["environ"] or "")]
    by_case = {trial["parameters"]["case"]: trial for trial in trials(folder / "out").values()}
    return folder, told, by_case, left


def test_each_fault_of_a_trial_is_a_row_and_disturbs_no_other(cases):
    _, told, found, _ = cases
    assert told.returncode == 0, told.stdout + told.stderr
    assert {case: trial["state"] for case, trial in found.items()} == {
        "raises": "Failed",
        "killed": "Finished",
        "hung": "Finished",
        "impossible": "Failed",
        "nan": "Pruned",
        "unnamed": "Failed",
        "bad": "Pruned",
        "good": "Finished",
        "slotless": "Finished",
    }


def test_the_reasons_have_the_numbers(cases):
    _, told, found, _ = cases
    assert "a bug of the trial" in found["raises"]["reason"]
    assert found["impossible"]["reason"].startswith("spec.stopping.minEpochs: 6: must be at most")
    assert found["unnamed"]["reason"].startswith("val_loss was not reported; reported: accuracy")
    assert found["bad"]["reason"].startswith("val_loss 5.25 at epoch 4 is worse than the median")
    assert found["bad"]["saved_epochs"] in (1, 2)  # reports go on while the prune is under way
    lost = f"trial {found['slotless']['trial']}: its slot's process has died; it goes on in a new one"
    assert told.stdout.count(lost) == 1
    assert f"all {len(CASES)} trials have ended" in told.stdout  # a grid has no more


def test_every_line_is_the_sweeps_own(cases):
    _, told, _, _ = cases
    assert told.stderr == ""
    beginnings = {line.partition(" ")[0] for line in told.stdout.partition("\n\n")[0].splitlines()}
    assert beginnings == {"trial"}


@pytest.mark.parametrize("case", ["killed", "hung", "slotless"])
def test_a_trial_that_lost_its_process_went_on_from_its_checkpoint(cases, case):
    folder, _, found, _ = cases
    events = RunDirectory(folder / "out" / "trials" / found[case]["trial"]).events()
    assert [e.resumed_from_step for e in events if isinstance(e, Started)] == [None, 4]


def test_a_trial_ends_with_the_weights_that_it_has_alone(cases):
    """Bit for bit, though others were trained in its slot before."""
    folder, _, found, _ = cases
    winner = folder / "winner.yaml"
    winner.write_text(command("promote", folder / "out").stdout)
    assert command("run", winner, "--run-dir", folder / "alone", timeout=500).returncode == 0
    trial = RunDirectory(folder / "out" / "trials" / found["good"]["trial"])
    alone, there = (torch.load(run.model) for run in (RunDirectory(folder / "alone"), trial))
    assert alone.keys() == there.keys()
    assert all(torch.equal(alone[name], there[name]) for name in alone)


def test_a_trial_is_a_run_directory(cases):
    folder, _, found, _ = cases
    run = folder / "out" / "trials" / found["bad"]["trial"]
    result = json.loads((run / "result.json").read_text())
    assert (result["state"], result["stopping"]["criterion"]) == ("Pruned", "median")
    told = command("explain", run)
    assert "Pruned by median" in told.stdout


def test_trials_are_compared_by_their_parameters_in_tensorboard(cases):
    folder, _, found, _ = cases
    for case in ("bad", "good"):
        run = folder / "out" / "trials" / found[case]["trial"]
        reader = EventAccumulator(str(run / "tensorboard")).Reload()
        content = reader.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
        start = parse_session_start_info_plugin_data(content)
        assert {name: value.string_value for name, value in start.hparams.items()} == {"case": case}
        assert start.group_name == f"tiny-{found[case]['trial']}"
        assert reader.Scalars("val_loss")


def test_only_the_best_trial_keeps_its_weights(cases):
    folder, _, found, _ = cases
    keeping = [p.parent.name for p in (folder / "out" / "trials").glob("*/checkpoints")]
    assert keeping == [found["good"]["trial"]]


def test_the_winner_is_a_trainjob(cases):
    folder, _, found, _ = cases
    told = command("promote", folder / "out")
    (folder / "promoted.yaml").write_text(told.stdout)
    assert f"name: tiny-{found['good']['trial']}" in told.stdout
    assert command("validate", folder / "promoted.yaml").returncode == 0


def test_explain_tells_the_table(cases):
    told = command("explain", cases[0] / "out").stdout
    assert "9 trials: 4 Finished, 2 Pruned, 3 Failed; best val_loss 0.666667 (trial 0008)" in told


def test_no_process_is_left(cases):
    assert cases[3] == []


def test_a_sweep_that_is_interrupted_and_killed_comes_to_what_it_would_have_come_to(tmp_path):
    """Ray's agent of runtime environments ends later: it looks for its parent now and then."""
    manifest = sweep(
        tmp_path,
        {"level": {"uniform": {"min": 1, "max": 2}}},
        epochs=20,
        config={"case": "disturbed"},
        maxTrials=2,
        parallelTrials=1,
        seed=WORSE_SECOND,
        search={"optuna": {"startupTrials": 1}},
        pruning={**PRUNING, "startAfter": {"epoch": 6}},
    )
    out = tmp_path / "out"
    sweeping = ["sweep", manifest, "--sweep-dir", out]
    with begin(*sweeping) as process:
        next(line for line in process.stdout if "trial 0001  epoch 3" in line)
        until((tmp_path / "first").exists)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 75
    before = (out / "trials" / "0001" / "history.jsonl").read_text()
    told = command(*sweeping)
    assert told.returncode == 73
    assert "--resume goes on with it" in told.stderr

    with begin(*sweeping, "--resume") as process:
        next(line for line in process.stdout if "trial 0002  epoch 3" in line)
        until((tmp_path / "second").exists)
        everyone = psutil.Process(process.pid).children(recursive=True)
        below = [one for one in everyone if "RuntimeEnvAgent" not in "".join(one.cmdline())]
        process.kill()
    assert (out / "trials" / "0001" / "history.jsonl").read_text().startswith(before)
    told = command(*sweeping, "--resume", timeout=500)
    assert told.returncode == 0, told.stdout + told.stderr
    assert below
    assert psutil.wait_procs(below, 0)[1] == []
    first, second = trials(out).values()
    assert (first["state"], first["proposed"], second["proposed"]) == ("Finished", "random", "tpe")
    assert (second["state"], second["epoch"] in (7, 8)) == ("Pruned", True)
    started = [e for e in RunDirectory(out / "trials" / "0002").events() if isinstance(e, Started)]
    assert [bool(e.resumed_from_step) for e in started] == [False, True]
