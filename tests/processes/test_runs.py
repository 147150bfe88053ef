"""Whole runs: how they end, what the result says, and what a user's mistake looks like."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import torch
from forked import ForkedWorkers
from trials import Trial

from trainjobs.exits import Exit
from trainjobs.runs import events

LOSS = {"monitor": "val_loss"}
STAGES = ["workers", "imports", "checkpoint", "setup", "step"]


def plateau(**parameters):
    return LOSS | {"criteria": [{"plateau": parameters}]}


def test_an_early_stop_names_its_criterion_its_numbers_and_what_it_saved(trial):
    stopping = plateau(patience=2, minDelta=10) | {"restoreBest": True}
    result = trial.train(stopping=stopping, max_epochs=10, workers=3)
    document = result.document
    assert result.exit_code == Exit.DONE
    assert document["state"] == "EarlyStopped"
    assert document["stopping"]["criterion"] == "plateau"
    assert "has not improved on" in document["stopping"]["reason"]
    steps = document["stopping"]["decidedAtStep"]
    assert document["stopping"]["haltedSteps"] == {"0": steps, "1": steps, "2": steps}
    assert (document["stopping"]["ranksHalted"], document["stopping"]["ranksTotal"]) == (3, 3)
    assert document["training"]["epoch"] == 3
    assert document["accounting"]["epochsSaved"] == 7
    assert document["accounting"]["baseline"] == "MaxEpochs"
    assert document["accounting"]["secondsSaved"] > 0
    assert {condition["type"] for condition in document["conditions"]} == {"EarlyStopped", "Complete"}
    assert document == trial.place.result() | {"conditions": document["conditions"]}
    (first,) = trial.of(events.FirstStep)
    assert list(first.seconds) == STAGES
    assert document["training"]["startupSeconds"] == pytest.approx(first.total)


@pytest.mark.parametrize(("module", "times"), [("digits", 0), ("uncompiled", 1)])
def test_packages_that_every_process_compiles_anew_are_told_of_once(trial, module, times):
    trial.train(entrypoint=f"{module}:train", stopping=LOSS, max_epochs=1)
    remedy = f": python -m compileall -q {Path(torch.__file__).parents[1]}"
    assert [warned.message.endswith(remedy) for warned in trial.of(events.Warned)] == [True] * times


def test_a_finished_run_that_is_started_again_does_not_train_again(trial):
    trial.train(stopping=plateau(patience=1, minDelta=10))
    before = trial.outcome()
    trial.events.clear()
    assert trial.train(stopping=plateau(patience=1, minDelta=10)).document["state"] == "EarlyStopped"
    assert trial.of(events.Reported) == []
    assert trial.outcome() == before


def test_a_stopped_run_goes_on_when_its_patience_is_raised(trial):
    trial.train(stopping=plateau(patience=1, minDelta=10))
    result = trial.train(stopping=plateau(patience=3, minDelta=10))
    assert [event.observation.epoch for event in trial.of(events.Reported)] == [1, 2, 3, 4]
    assert result.document["stopping"]["criterion"] == "plateau"


def test_the_stop_verb_completes_the_run_at_one_step(trial):
    result = trial.train(stopping=LOSS, config={"mishaps": [{"what": "stop", "step": 17, "rank": 1}]})
    assert result.exit_code == Exit.DONE
    assert result.document["state"] == "StopRequested"
    assert result.document["stopping"]["reason"] == "good enough"
    assert len(set(result.document["stopping"]["haltedSteps"].values())) == 1


def test_nan_stops_the_run_and_says_so(trial):
    result = trial.train(
        stopping=LOSS | {"criteria": [{"nonFinite": {"monitor": "train_loss"}}]}, config={"nan_epoch": 2}
    )
    assert result.exit_code == Exit.DONE
    assert result.document["stopping"]["reason"] == "train_loss is nan at epoch 2"


@pytest.mark.parametrize("loader", ["uneven", "stream"])
def test_ranks_with_different_numbers_of_batches_do_the_smallest(trial, loader):
    result = trial.train(stopping=LOSS, config={"loader": loader}, workers=3, max_epochs=2)
    assert result.exit_code == Exit.DONE
    assert set(result.document["stopping"]["haltedSteps"].values()) == {14}


def test_a_budget_of_steps_is_kept_to_the_step(trial):
    result = trial.train(stopping={"criteria": [{"budget": {"steps": 30}}]})
    assert result.document["stopping"]["criterion"] == "budget"
    assert set(result.document["stopping"]["haltedSteps"].values()) == {30}


def test_at_least_stops_a_run(trial):
    members = [{"plateau": {"patience": 1, "minDelta": 10}}, {"plateau": {"patience": 99}}]
    result = trial.train(stopping=LOSS | {"criteria": [{"atLeast": {"count": 1, "of": members}}]})
    assert result.document["stopping"]["criterion"] == "atLeast"
    assert result.document["training"]["epoch"] == 2


def test_an_existing_loop_stops_everywhere_at_one_step(trial):
    result = trial.train(
        stopping=plateau(patience=1, minDelta=10), entrypoint="digits:existing_loop", max_epochs=20
    )
    assert result.document["state"] == "EarlyStopped"
    assert set(result.document["stopping"]["haltedSteps"].values()) == {26}


def test_an_existing_loop_resumes_after_the_last_reported_epoch(trial):
    config = {"mishaps": [{"what": "interrupt", "step": 30, "rank": 0}]}
    parts = {"entrypoint": "digits:existing_loop", "stopping": LOSS, "config": config, "max_epochs": 3}
    assert trial.train(**parts).exit_code == Exit.INTERRUPTED
    assert trial.train(**parts).exit_code == Exit.DONE
    assert [seen.epoch for seen in trial.place.history()] == [1, 2, 3]


def test_three_lines_are_enough(trial):
    result = trial.train(stopping=plateau(patience=2), entrypoint="digits:three_lines", max_epochs=20)
    assert [list(first.seconds) for first in trial.of(events.FirstStep)] == [STAGES]
    assert result.document["stopping"]["criterion"] == "plateau"


@pytest.mark.parametrize(
    ("parts", "code", "complaint"),
    [
        (
            {"config": {"mishaps": [{"what": "raise", "step": 5, "rank": 1}]}},
            Exit.USER_CODE,
            "label 11 is not a digit",
        ),
        (
            {"config": {"mishaps": [{"what": "extra metric", "step": 5, "rank": 1}]}},
            Exit.DATA,
            "metric 'only_here' is reported by ranks 1 but not by 0",
        ),
        ({"entrypoint": "digits:other_metric", "stopping": plateau(patience=1)}, Exit.DATA, "val_loss"),
        (
            {"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]},
            Exit.CONFIG,
            "spec.trainer.env[0]: KEY comes from the cluster (valueFrom); set it in the environment",
        ),
        ({"entrypoint": "digits:trian"}, Exit.CONFIG, 'no function trian; did you mean "train"'),
        ({"entrypoint": "digts:train"}, Exit.CONFIG, "no module digts"),
        ({"entrypoint": "digits:spoiled"}, Exit.CONFIG, "write def spoiled(run)"),
        ({"checkpoint": {"storage": {"uri": "/proc/1/here"}}}, Exit.IO, "/proc/1/here/trial"),
        (
            {"checkpoint": {"storage": {"uri": "floppy://a/b"}}},
            Exit.CONFIG,
            "spec.checkpoint.storage.uri: floppy://a",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_users_mistake_ends_the_run_at_once_with_one_message(trial, parts, code, complaint):
    result = trial.train(**({"stopping": LOSS} | parts))
    assert result.exit_code == code
    assert complaint in result.document["failure"]["message"]
    assert trial.of(events.Restarting) == []


def test_the_users_exception_shows_the_users_frames_and_the_rank(trial):
    trial.train(stopping=LOSS, config={"mishaps": [{"what": "raise", "step": 5, "rank": 1}]})
    failed = trial.of(events.Failed)[0]
    assert (failed.rank, failed.kind) == (1, "ValueError")
    assert failed.traceback.count("digits.py") == 3
    assert "trainjobs/runtime" not in failed.traceback
    assert failed.traceback.rstrip().endswith("ValueError: label 11 is not a digit")


def test_a_run_of_another_model_is_not_resumed(trial):
    interrupted = {"mishaps": [{"what": "interrupt", "step": 5, "rank": 0}]}
    trial.train(stopping=LOSS, config=interrupted)
    result = trial.train(stopping=LOSS, config={"hidden": 16})
    assert result.exit_code == Exit.CONFIG
    assert (
        "is from a run of another model: 0.bias is (32,) there and (16,) here"
        in result.document["failure"]["message"]
    )


def test_another_number_of_workers_does_not_resume(trial):
    trial.train(stopping=LOSS, config={"mishaps": [{"what": "interrupt", "step": 5, "rank": 0}]})
    result = trial.train(stopping=LOSS, workers=3)
    assert result.exit_code == Exit.CONFIG
    assert "was written by 2 workers and this run has 3" in result.document["failure"]["message"]


def test_what_a_training_function_prints_is_told_with_its_rank(trial):
    trial.train(max_epochs=2)
    told = {(event.rank, event.text) for event in trial.of(events.Printed)}
    assert told == {(rank, f"epoch {epoch}") for rank in (0, 1) for epoch in (1, 2)}


def test_the_manifests_environment_reaches_the_training_function(trial):
    env = [
        {"name": "GREETING", "value": "hello"},
        {"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
    ]
    trial.train(entrypoint="digits:greet", env=env, max_epochs=1)
    assert {event.text for event in trial.of(events.Printed)} == {"hello"}


def test_a_run_that_reports_nothing_is_warned_once(trial):
    trial.train(entrypoint="digits:no_report", max_epochs=2)
    (warned,) = trial.of(events.Warned)
    assert "epoch 1 ended without run.report()" in warned.message


class Noting(ForkedWorkers):
    """Note when they begin to come up."""

    def __enter__(self):
        self.began = time.time()
        return super().__enter__()

    def start(self, setup, directory):
        self.launched = setup.launched
        return super().start(setup, directory)


def test_the_time_to_start_is_also_that_of_what_starts_the_workers(tmp_path):
    trial = Trial(tmp_path, Noting())
    assert trial.train(max_epochs=1).exit_code == Exit.DONE
    assert trial.workers.launched <= trial.workers.began


def test_attempts_end_with_backoff_limit(trial):
    mishaps = [{"what": "die", "step": 3 + rank, "rank": rank} for rank in (0, 1)]
    result = trial.train(stopping=LOSS, config={"mishaps": mishaps}, backoffLimit=1)
    assert result.exit_code == Exit.FAILURE
    assert "the process of rank 1 was killed by SIGKILL" in result.document["failure"]["message"]
    assert len(trial.of(events.Restarting)) == 1


def test_a_storage_that_cannot_be_written_is_found_out_before_training(trial):
    trial.train(stopping=LOSS, checkpoint={"storage": {"uri": "/proc/1/here"}})
    assert trial.of(events.Reported) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 400 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_ends_the_run_clearly_and_a_resume_goes_on_from_before_it(trial, small_disk):
    filler = small_disk / "filler"

    def fill(event):
        if isinstance(event, events.Checkpointed):
            free = os.statvfs(small_disk).f_bavail * 4096
            filler.write_bytes(bytes(max(0, free - 8192)))

    parts = {
        "stopping": LOSS,
        "checkpoint": {"storage": {"uri": str(small_disk)}},
        "config": {"mishaps": [{"what": "await full disk", "step": 20, "rank": 0}], "disk": str(filler)},
    }
    result = trial.train(fill, **parts)
    assert result.exit_code == Exit.IO
    assert "no space left; any earlier checkpoint is intact" in result.document["failure"]["message"]
    filler.unlink()
    assert trial.train(**parts).exit_code == Exit.DONE
    assert trial.of(events.Started)[-1].resumed_from_step == 13
