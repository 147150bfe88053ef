"""Which trackers a run has, and what their faults cost it: nothing."""

import sys
import threading
from dataclasses import replace
from typing import ClassVar

import pytest
from gpujob import JOB

from trainjobs.api.reasons import RunOutcome
from trainjobs.api.trainjob import TrackerName
from trainjobs.exits import ConfigError
from trainjobs.runs.events import Started
from trainjobs.tracking import trackers as module
from trainjobs.tracking.tracker import Ending, TrackedRun, Tracker
from trainjobs.tracking.trackers import Trackers, chosen, not_installed

STARTED = Started(1, 2, "cpu", None, 0, 100)
ENDED = Ending(RunOutcome.FINISHED, "trained all", 910, None, {})


def reporting_to(*names):
    return JOB.model_copy(update={"spec": JOB.spec.model_copy(update={"report_to": names})})


@pytest.fixture
def kept(monkeypatch):
    """The one tracker keeps what it is told, unless `faults` says what is to happen with a call."""

    class Kept(Tracker):
        told: ClassVar = []
        faults: ClassVar = {}

        def started(self, event):
            self._tell("started", event)

        def reported(self, event):
            self._tell("reported", event)

        def ended(self, ending):
            self._tell("ended", ending)

        def _tell(self, what, event):
            self.told.append(event)
            self.faults.get(what, lambda: None)()

    monkeypatch.setattr(module._Library, "make", lambda self, run: Kept())
    monkeypatch.setattr(module, "_late", set())
    return Kept


def followed(tmp_path, *events):
    trackers = Trackers(reporting_to(TrackerName.TENSORBOARD), TrackedRun("job", {}, tmp_path))
    for event in events:
        trackers(event)
    return trackers


def raising(error):
    def fault():
        raise error

    return fault


def test_a_run_reports_to_tensorboard_where_it_is_installed(tmp_path, monkeypatch):
    assert chosen(JOB) == (TrackerName.TENSORBOARD,)
    assert chosen(reporting_to()) == ()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.delitem(sys.modules, "tensorboard", raising=False)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert chosen(JOB) == ()


def test_one_that_is_named_and_not_installed_is_refused_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorboard", raising=False)
    monkeypatch.setattr("sys.path", [])
    assert list(not_installed((TrackerName.TENSORBOARD,))) == [
        (0, TrackerName.TENSORBOARD, "is not installed where the run is driven: pip install tensorboard")
    ]
    with pytest.raises(ConfigError, match=r"spec\.reportTo\[0\]: tensorboard is not installed"):
        followed(tmp_path)


def test_a_tracker_is_told_all_in_order_and_begins_with_the_first_report(
    tmp_path, reports, kept, monkeypatch
):
    made = threading.Event()
    monkeypatch.setattr(module._Library, "make", lambda self, run: made.set() or kept())
    trackers = followed(tmp_path, STARTED, replace(STARTED, attempt=2))
    assert not made.is_set()
    for report in reports:
        trackers(report)
    assert list(trackers.end(ENDED)) == []
    assert kept.told == [STARTED, replace(STARTED, attempt=2), *reports, ENDED]


def test_a_tracker_finds_its_folder_though_nothing_is_on_the_storage_yet(
    tmp_path, reports, kept, monkeypatch
):
    place = tmp_path / "claim" / "mnist-01234567"
    there = []
    monkeypatch.setattr(
        module._Library, "make", lambda self, run: there.append(run.folder.is_dir()) or kept()
    )
    trackers = Trackers(reporting_to(TrackerName.MLFLOW), TrackedRun("mnist", {}, place))
    for event in (STARTED, reports[0]):
        trackers(event)
    assert list(trackers.end(ENDED)) == []
    assert there == [True]


def test_a_run_that_has_never_trained_leaves_nothing(tmp_path, kept):
    assert list(followed(tmp_path).end(ENDED)) == []
    assert kept.told == []


@pytest.mark.parametrize("when", ["started", "reported", "ended"])
def test_a_fault_of_a_tracker_is_told_once_and_ends_only_its_own_log(tmp_path, reports, kept, when):
    kept.faults = {when: raising(OSError("no space left\nmore"))}
    trackers = followed(tmp_path, STARTED, *reports)
    said = list(trackers.end(ENDED))
    assert said == ["tensorboard is told no more of this run: OSError: no space left"]
    assert list(trackers.troubles()) == []


@pytest.mark.parametrize(
    ("outcome", "patience"), [(RunOutcome.FINISHED, "LAST_WORDS_S"), (RunOutcome.INTERRUPTED, "LEAVING_S")]
)
def test_the_end_of_a_run_waits_only_so_long_for_a_tracker_that_hangs(
    tmp_path, reports, kept, monkeypatch, outcome, patience
):
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    monkeypatch.setattr(module, patience, 0.02)
    free = threading.Event()
    kept.faults = {"reported": free.wait}
    trackers = followed(tmp_path, STARTED, *reports)
    said = list(trackers.end(replace(ENDED, outcome=outcome)))
    free.set()
    assert said == [
        "the run is over; what it has told tensorboard is still being taken: waiting 0.02 s at most",
        "tensorboard has not taken all of the run",
    ]


def test_one_that_was_late_once_is_not_waited_for_again_until_it_is_in_time(
    tmp_path, reports, kept, monkeypatch
):
    """As of the trials of a sweep that share a process: a server that is gone costs its wait once."""
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    monkeypatch.setattr(module, "LAST_WORDS_S", 0.02)
    free = threading.Event()
    kept.faults = {"reported": free.wait}
    waiting = "the run is over; what it has told tensorboard is still being taken: waiting 0.02 s at most"
    late = "tensorboard has not taken all of the run"
    assert list(followed(tmp_path, STARTED, *reports).end(ENDED)) == [waiting, late]
    assert list(followed(tmp_path, STARTED, *reports).end(ENDED)) == [late]
    free.set()
    with monkeypatch.context() as patient:
        patient.setattr(module, "SILENT_S", 60.0)
        assert list(followed(tmp_path, STARTED, *reports).end(ENDED)) == []
    free.clear()
    assert list(followed(tmp_path, STARTED, *reports).end(ENDED)) == [waiting, late]
    free.set()
