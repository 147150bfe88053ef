"""The status that a run writes: at once when somebody waits for it, complete, added up over its lives."""

import threading
import time
from queue import SimpleQueue

import pytest
from gpujob import JOB

from trainjobs.api import Stopping
from trainjobs.api.status import TrainJobStatus
from trainjobs.coordination import Decision, Outcome
from trainjobs.pod import status_writer
from trainjobs.pod.reporter import Reporter
from trainjobs.pod.status_writer import difference
from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    Halted,
    Progress,
    Reported,
    Restarting,
    Started,
)
from trainjobs.stopping import Observation

S = 10
STARTED = Started(1, 2, "cpu", None, 0, 10)
DECISION = Decision(
    Outcome.EARLY_STOPPED, "plateau", "flat", "val_loss", 0.5, None, None, 9, 9, 1_790_000_000.0
)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(status_writer, "INTERVAL_S", 3600)


@pytest.fixture
def written():
    return SimpleQueue()


def reporter_of(written, before=None, held_s=0.0):
    return Reporter(JOB, before or TrainJobStatus(), time.time() - held_s, written.put)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ],
)
def test_the_patch_holds_what_changed(old, new, patch):
    assert difference(old, new) == patch


def test_a_start_a_decision_and_a_restart_are_written_at_once(written):
    tell = reporter_of(written)
    tell(STARTED)
    assert written.get(timeout=S)["startTime"]
    tell(Halted(DECISION, {0: 9, 1: 9}, 3.0))
    stopping = written.get(timeout=S)["stopping"]
    assert (stopping["criterion"], stopping["haltedAtStep"], stopping["ranksHalted"]) == ("plateau", 9, 2)
    tell(Restarting(2, "rank 1 died", 0, 1))
    assert written.get(timeout=S)["failedAttempts"] == 1


def test_progress_waits_for_its_turn_and_none_is_lost_at_the_end(written):
    tell = reporter_of(written)
    tell(STARTED)
    written.get(timeout=S)
    tell(Reported(Observation(epoch=1, step=5, seconds=2.0, metrics={"val_loss": 0.5})))
    tell(Progress(2, 7, 2, 5, 2.5))
    assert written.empty()
    tell.close()
    training = written.get(timeout=S)["training"]
    assert (training["epoch"], training["step"]) == (1, 7)
    assert training["metrics"] == [{"name": "val_loss", "value": "0.5"}]


def test_a_run_that_is_judged_by_other_criteria_says_so_in_its_status(written):
    tell = reporter_of(written)
    tell(Started(1, 2, "cpu", 5, 1, 10, (Observation(1, 5, 2.0, {"val_loss": 0.5, "accuracy": 0.7}),)))
    assert written.get(timeout=S)["training"]["best"]["metric"] == "val_loss"
    tell(CriteriaChanged(Stopping(monitor="accuracy")))
    tell.close()
    assert written.get(timeout=S)["training"]["best"]["metric"] == "accuracy"


def test_an_api_server_that_fails_gets_it_later(monkeypatch):
    monkeypatch.setattr(status_writer, "INTERVAL_S", 0.01)
    answers = iter([OSError("no route"), OSError("no route"), None])
    taken = SimpleQueue()

    def patch(fields):
        if (error := next(answers)) is not None:
            raise error
        taken.put(fields)

    Reporter(JOB, TrainJobStatus(), time.time(), patch)(STARTED)
    assert taken.get(timeout=S)["training"]["step"] == 0


def test_the_next_life_adds_up_and_takes_back_the_decision_that_a_resume_undid(written):
    uri = "/data/checkpoints/1.pt"
    before = TrainJobStatus.model_validate(
        {
            "startTime": "2026-11-21T10:00:00Z",
            "restarts": 2,
            "failedAttempts": 1,
            "stopping": {"reason": "told to end", "haltedAtStep": 7, "decisionTime": "2026-11-21T11:00:00Z"},
            "checkpoint": {"uri": uri, "epoch": 1, "step": 7, "time": "2026-11-21T11:00:00Z"},
            "accounting": {"gpuSecondsUsed": 1000},
        }
    )
    tell = reporter_of(written, before, held_s=100)
    tell(Started(1, 2, "cpu", 7, 1, 10))
    patch = written.get(timeout=S)
    assert patch["restarts"] == 3
    assert patch["stopping"] == {"reason": None, "haltedAtStep": None, "decisionTime": None}
    assert patch["training"]["step"] == 7
    assert patch["accounting"]["gpuSecondsUsed"] == pytest.approx(1000 + 100 * 8, abs=80)
    assert not patch.keys() & {"startTime", "failedAttempts", "checkpoint"}
    tell(Checkpointed(uri, 2, 12, 0.1))
    tell.close()
    assert written.get(timeout=S)["checkpoint"]["step"] == 12


def test_before_the_start_only_failed_attempts_are_written(written):
    tell = reporter_of(written)
    assert tell.count_failure() == 1
    assert written.get(timeout=S) == {"failedAttempts": 1}


def test_an_end_that_comes_amid_a_write_is_not_waited_out(written):
    tell = reporter_of(written)._writer

    class ForgottenTooLate(threading.Event):
        """The end hurries just before the hurry of the write before it is forgotten."""

        def clear(self):
            tell._over = True
            self.set()
            super().clear()

    tell._hurry = ForgottenTooLate()
    tell.tell(urgent=False)
    tell._thread.join(20)
    assert not tell._thread.is_alive()
