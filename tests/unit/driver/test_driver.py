"""The driver with a launcher that plays a part: what it makes of requests and of groups that end."""

import json

import pytest
from gpujob import JOB

from trainjobs.api import Stopping
from trainjobs.driver.driver import train
from trainjobs.driver.launcher import WorkersFailed
from trainjobs.driver.requests import Control
from trainjobs.exits import Exit
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import CriteriaChanged, Decided, Restarting, Warned


class Killed:
    """A group whose processes are killed as soon as it has been asked for."""

    def __init__(self):
        self.ended = True
        self.error = WorkersFailed("the process of rank 0 was killed by SIGTERM")
        self.deaths = {0: "was killed by SIGTERM"}


class Launcher:
    """Counts the groups that it starts; `meanwhile` is called while one runs."""

    nodes = 1
    host = "127.0.0.1"

    def __init__(self, meanwhile):
        self.started = 0
        self._meanwhile = meanwhile

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def lost(self):
        return ""

    def start(self, setup, directory):
        self.started += 1
        self._meanwhile()
        return Killed()


@pytest.fixture
def place(tmp_path):
    place = RunDirectory(tmp_path / "run")
    place.create()
    place.write_job(JOB)
    return place


def ended(place, launcher, control):
    told = []
    return train(JOB, place, told.append, control, place.path, launcher), told


def test_a_run_whose_workers_get_the_signal_too_is_interrupted_and_makes_no_other_attempt(place):
    control = Control()
    launcher = Launcher(lambda: control.interrupt("SIGTERM received"))
    result, told = ended(place, launcher, control)
    assert launcher.started == 1
    assert not [event for event in told if isinstance(event, Restarting)]
    assert result.exit_code == Exit.INTERRUPTED
    kept = json.loads((place.path / "result.json").read_text())
    assert (kept["state"], kept["failedAttempts"]) == ("Interrupted", 0)
    assert [c["message"] for c in kept["conditions"]] == ["SIGTERM received"]
    warned, decided = told[-2:]
    assert isinstance(warned, Warned)
    assert "was killed by SIGTERM" in warned.message
    assert isinstance(decided, Decided)
    assert decided.decision.outcome == "Interrupted"


def test_a_run_that_is_to_be_stopped_makes_another_attempt_for_its_best_weights(place):
    control = Control()
    launcher = Launcher(lambda: control.stop("enough"))
    result, _ = ended(place, launcher, control)
    assert launcher.started == JOB.spec.backoff_limit + 1
    assert result.exit_code == Exit.FAILURE


def test_other_criteria_are_kept_in_the_manifest_and_told_once(place):
    control = Control()
    changed = Stopping.model_validate({"monitor": "val_loss", "criteria": [{"budget": {"epochs": 3}}]})
    launcher = Launcher(lambda: None if launcher.started > 1 else control.change(changed))
    _, told = ended(place, launcher, control)
    assert [event for event in told if isinstance(event, CriteriaChanged)] == [CriteriaChanged(changed)]
    assert [event for event in place.events() if isinstance(event, CriteriaChanged)] == [
        CriteriaChanged(changed)
    ]
    assert place.job().spec.stopping == changed
