"""A TrainJob's log as a run directory: what a page needs is there, and what is not there is said."""

from dataclasses import replace
from datetime import datetime

import pytest
import yaml
from recording import MANIFEST, VAL_LOSS

from trainjobs.cli.pages.run_page import ToldRun, run_page
from trainjobs.cluster import ClusterTrainJob
from trainjobs.cluster.record import gone, written
from trainjobs.coordination import Outcome
from trainjobs.exits import CannotCreate, NoInput
from trainjobs.local.run_report import RunStatus, read
from trainjobs.recorded import load_run
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Failed, Printed, Progress, Started
from trainjobs.runs.log_lines import log_line

TIME = "2026-11-21T10:00:00Z"


def found(kind="Complete", reason="EarlyStopped", message="", **status):
    condition = {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": TIME,
    }
    document = yaml.safe_load(MANIFEST)
    document["metadata"] |= {"namespace": "team", "uid": "0123456789", "creationTimestamp": TIME}
    document["spec"]["checkpoint"] = {"storage": {"claimName": "disk"}}
    return ClusterTrainJob.of({**document, "status": {"conditions": [condition], **status}})


@pytest.fixture
def happened(recording):
    """A run that its plateau has stopped."""
    reason = "val_loss 0.412 has not improved"
    return [
        *recording.beginning(),
        *recording.reports(VAL_LOSS),
        *recording.stop(Outcome.EARLY_STOPPED, reason, 910, "plateau"),
    ]


@pytest.fixture
def kept(tmp_path):
    """Writes the log of these events, and other lines, as a run directory; sentences about what is missing."""

    def keep(events, job=None, before=()):
        lines = [*before, "epoch 1/100  step 70  val_loss 0.9"]
        lines += [line for event in events if (line := log_line(event))]
        missing = []
        directory = written(job or found(), lines, RunDirectory(tmp_path / "copy"), missing.append)
        return directory, missing

    return keep


def test_the_log_of_a_run_becomes_the_run_directory_that_pod_0_had(recording, happened, kept):
    recording.play(happened)
    directory, missing = kept(happened)
    own = recording.place
    assert missing == []
    assert directory.history() == own.history()
    assert directory.decisions() == own.decisions()
    assert directory.events() == own.events()
    assert load_run(directory.path).outcome == "EarlyStopped"
    here, there = read(own), read(directory)
    assert (there.state, there.criteria, there.best) == (here.state, here.criteria, here.best)
    assert "Stopped early by plateau after epoch 13 of 100" in run_page(ToldRun.read(directory))


def test_the_events_keep_the_time_at_which_they_happened(kept, happened):
    directory, _ = kept(happened)
    line = (directory.path / "events.jsonl").read_text().splitlines()[0]
    assert yaml.safe_load(line)["time"] <= datetime.now().timestamp()
    first = '{"time": 5.25, "event": "Starting", "workers": 2, "nodes": 2}'
    other = RunDirectory(directory.path.with_name("other"))
    written(found(), [f"trainjobs-event {first}"], other, print)
    assert yaml.safe_load((other.path / "events.jsonl").read_text())["time"] == 5.25


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        (("Running", "Running"), RunStatus.RUNNING),
        (("Running", "Stopping"), RunStatus.RUNNING),
        (("Complete", "StopRequested"), RunStatus.STOP_REQUESTED),
        (("Suspended", "Suspended"), RunStatus.INTERRUPTED),
        (("Failed", "EarlyStopped"), RunStatus.FAILED),
    ],
)
def test_the_state_is_what_the_cluster_says(recording, kept, condition, state):
    directory, _ = kept(recording.beginning(), found(*condition))
    assert read(directory).state is state


def test_a_running_one_is_told_of_without_a_process(recording, kept):
    directory, _ = kept(
        [*recording.beginning(), *recording.reports(VAL_LOSS[:2])], found("Running", "Running")
    )
    assert "Running: after the report of epoch 2 of 100, at step 140" in run_page(ToldRun.read(directory))


def test_a_failure_that_the_operator_alone_knows_is_in_it(recording, kept):
    job = found("Failed", "DeadlineExceeded", "it has run for 60 s (activeDeadlineSeconds)")
    directory, _ = kept(recording.beginning(), job)
    assert "DeadlineExceeded: it has run for 60 s" in run_page(ToldRun.read(directory))


def test_the_failure_that_the_run_tells_itself_is_not_told_twice(recording, kept):
    failure = Failed(1, "ValueError", "no", "train.py, line 3", 70)
    directory, _ = kept(
        [*recording.beginning(), failure], found("Failed", "UserError", "ValueError on rank 1")
    )
    assert [event for event in directory.events() if isinstance(event, Failed)] == [failure]


def test_a_pod_that_follows_another_tells_what_was_reported_before(recording, kept, happened):
    recording.play(happened)
    history = recording.place.history()
    starting, started = recording.beginning()
    again = replace(started, resumed_from_step=700, history=history[:10])
    directory, missing = kept([starting, again], found("Running", "Running"))
    assert (directory.history(), missing) == (history[:10], [])


def test_what_the_log_does_not_tell_is_said(kept, happened):
    torn = log_line(happened[0])[:30] + "starting 2 workers"
    directory, missing = kept(happened[6:], before=[torn])
    first, second = missing
    assert first.startswith("log of mnist: line 1: damaged line")
    assert second.startswith("the log of mnist has lost its beginning")
    assert directory.history()[0].epoch == 3


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "5",
        '{"time": NaN, "event": "Starting", "workers": 1, "nodes": 1}',
        '{"time": 1, "event": "Of a later version"}',
        '{"time": {}, "event": "Starting", "workers": 1, "nodes": 1}',
    ],
)
def test_a_line_that_is_no_event_is_passed_over(kept, happened, line):
    _, missing = kept(happened, before=[f"trainjobs-event {line}"])
    assert len(missing) == 1


def test_lines_that_cannot_be_read_are_counted_and_the_first_is_shown(kept, happened):
    _, missing = kept(happened, before=[f'trainjobs-event {{"time": "{"x" * 2000}"}}'] * 1000)
    first, others = missing
    assert first.startswith("log of mnist: line 1: damaged line")
    assert len(first) < 400
    assert others == "log of mnist: 1,000 lines in all are passed over"


def test_a_run_that_is_there_already_is_not_written_over(kept, happened):
    kept(happened)
    with pytest.raises(CannotCreate, match="holds files already"):
        kept(happened)


def test_nothing_is_written_among_other_files(kept, happened, tmp_path):
    (tmp_path / "copy").mkdir()
    own = tmp_path / "copy" / "history.jsonl"
    own.write_text("mine")
    with pytest.raises(CannotCreate, match="copy: holds files already; name another directory"):
        kept(happened)
    assert own.read_text() == "mine"


def test_a_log_without_events_is_no_run(kept):
    with pytest.raises(NoInput, match="the log of mnist has no events: it is EarlyStopped"):
        kept([])


@pytest.mark.parametrize("event", [Printed(0, "x"), Progress(1, 2, 3, 4, 5.0)])
def test_what_the_log_has_anyway_or_nobody_keeps_is_no_line(event):
    assert log_line(event) is None


def test_of_a_log_that_is_gone_the_error_says_what_is_left():
    checkpoint = {"uri": "/trainjobs/checkpoints/mnist-01234567/9", "epoch": 9, "step": 630, "time": TIME}
    error = NoInput("mnist has no pod 0")
    assert str(gone(found("Suspended", "Suspended", checkpoint=checkpoint), error)) == (
        "mnist has no pod 0; its checkpoint of step 630 is /trainjobs/checkpoints/mnist-01234567/9 on the claim disk; "
        "its next pod tells every report from the first on"
    )
    assert str(gone(found(), error)) == "mnist has no pod 0"


def test_a_line_of_the_log_is_one_line_whatever_is_in_it():
    line = log_line(Started(1, 2, "a\nb\u2028c\udcff", None, 0, 10))
    assert line.isascii()
    assert len(line.splitlines()) == 1
