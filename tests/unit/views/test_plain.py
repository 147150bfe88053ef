"""Plain output: what a log holds."""

import re

import pytest
from gpujob import JOB

from trainjobs.api import Stopping
from trainjobs.runs.events import Failed, Progress, Reported, Restarting, Started, Warned
from trainjobs.runs.job_status import JobStatus
from trainjobs.runs.run_state import RunState
from trainjobs.stopping import Observation, Panel
from trainjobs.views.plain import QUIET_SECONDS, Plain


@pytest.fixture
def lines(capsys):
    def of(events):
        view = Plain()
        with view:
            for event in events:
                view(event)
        return capsys.readouterr().out.splitlines()

    return of


def test_a_run_is_one_line_for_each_report_and_decision(recording, lines):
    recording.early_stop()
    out = lines(recording.events)
    assert out[0] == "starting 2 workers on 2 nodes"
    assert out[1] == "training with 2 workers on cpu (up after 6.2 s)"
    assert len([line for line in out if line.startswith("epoch ")]) == 13
    assert out[-4:] == [
        "stopping early by plateau, decided at step 910: "
        "val_loss 0.412 has not improved on 0.398 (epoch 8) by more than 0.001 for 5 reports",
        "halted: step 910 on all 2 ranks, 41 ms after the decision",
        "checkpoint of step 910 in runs/mnist/checkpoints/910 (0.2 s)",
        "test  loss 0.405  accuracy 0.92",
    ]


def test_a_report_has_its_metrics_the_best_and_the_closest_criterion(recording, lines):
    recording.early_stop()
    reports = [line for line in lines(recording.events) if line.startswith("epoch ")]
    assert reports[10] == (
        "epoch 11/100  step 770  50 s  train_loss 0.35775  val_loss 0.3975  val_accuracy 0.9205  (best)"
        "  [plateau 3/5]"
    )
    assert "(best)" not in reports[11]


def test_the_closest_criterion_is_the_one_that_the_status_names(lines):
    blind = {"plateau": {"monitor": "absent", "whenMissing": "Ignore", "patience": 5}}
    stopping = Stopping.model_validate(
        {"monitor": "val_loss", "criteria": [blind, {"plateau": {"patience": 5}}]}
    )
    panel, seen = Panel.of(stopping), Observation(1, 10, 2.0, {"val_loss": 0.5})
    event = Reported.of(seen, panel.judge(panel.fold((seen,))), 1)
    assert JobStatus(JOB, RunState().after(event)).training().waiting == "plateau-2 0/5"
    assert lines([event]) == ["epoch 1  step 10  2.0 s  val_loss 0.5  (best)  [plateau-2 0/5]"]


def test_no_criterion_is_named_while_none_has_an_opinion(lines):
    panel, seen = Panel.of(Stopping()), Observation(1, 10, 2.0, {"loss": 0.5})
    event = Reported.of(seen, panel.judge(panel.fold((seen,))), 1)
    assert JobStatus(JOB, RunState().after(event)).training().waiting is None
    assert lines([event]) == ["epoch 1  step 10  2.0 s  loss 0.5"]


def test_a_shadow_criterion_is_told_once(recording, lines):
    recording.early_stop()
    shadows = [line for line in lines(recording.events) if line.startswith("shadow")]
    assert shadows == [
        "shadow quick would stop here: val_loss 0.4 has not improved on 0.398 (epoch 8) for 2 reports"
    ]


def test_there_are_no_control_codes(recording, lines):
    recording.early_stop()
    assert not re.search(r"[\x00-\x1f]", "".join(lines(recording.events)))


def test_a_long_epoch_is_not_silent(lines):
    seconds = [10, QUIET_SECONDS + 1, QUIET_SECONDS + 2, 2 * QUIET_SECONDS + 3]
    out = lines(Progress(1, 10 * i, 10 * i, 4000, at) for i, at in enumerate(seconds, start=1))
    assert out == ["epoch 1  batch 20/4,000  1 min 1 s", "epoch 1  batch 40/4,000  2 min 3 s"]


def test_a_failure_ends_with_the_error_and_its_rank(lines):
    frames = '  File "train.py", line 7, in train\n    raise ValueError("bad batch")\n'
    assert lines([Failed(1, "ValueError", "bad batch", frames, 70)]) == [
        '  File "train.py", line 7, in train',
        '    raise ValueError("bad batch")',
        "failed on rank 1: ValueError: bad batch",
    ]


def test_restarts_and_warnings_are_told(lines):
    assert lines([Restarting(2, "rank 1 was lost", 1200), Warned("checkpoint 3 is damaged")]) == [
        "starting attempt 2: rank 1 was lost",
        "warning: checkpoint 3 is damaged",
    ]


def test_a_run_of_so_many_steps_counts_them(recording, lines):
    recording.by_steps()
    (first, *_) = [line for line in lines(recording.events) if line.startswith("epoch ")]
    assert first.startswith("epoch 1  step 100/5,000  10 s  val_loss 0.9")


def test_progress_of_a_run_of_so_many_steps_is_a_step(lines):
    begun = Started(1, 2, "cpu", None, 0, None, (), 6.2, 5000)
    assert lines([begun, Progress(1, 1200, 1200, None, 100.0)])[1:] == ["step 1,200  1 min 40 s"]
