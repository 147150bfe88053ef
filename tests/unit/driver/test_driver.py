"""The driver with a launcher that plays a part: what it makes of requests and of groups that end."""

import json
from multiprocessing.connection import Client

import pytest
from gpujob import JOB

from trainjobs.api import Stopping
from trainjobs.driver.driver import train
from trainjobs.driver.launcher import WorkersFailed
from trainjobs.exits import Exit
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import CriteriaChanged, Decided, Restarting, Warned
from trainjobs.runs.requests import Control


class Killed:
    """A group whose processes are killed as soon as it has been asked for."""

    def __init__(self):
        self.ended = True
        self.error = WorkersFailed("the process of rank 0 was killed by SIGTERM")
        self.deaths = {0: "was killed by SIGTERM"}


class Ended(Killed):
    """A group that has ended well, as far as the system knows, and has told these words, if any."""

    def __init__(self, setup, words):
        super().__init__()
        self.error, self.deaths = None, {}
        if words:
            with Client((setup.address.host, setup.address.port), authkey=setup.address.key) as rank:
                for word in ({"rank": 0}, *words, None):
                    rank.send_bytes(word if isinstance(word, bytes) else json.dumps(word).encode())
                rank.poll(10)  # the good-bye, or the end


class Launcher:
    """Counts the groups that it starts; `meanwhile` is called while one runs."""

    nodes = 1
    host = "127.0.0.1"
    restarts = True

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the workers have ended, and none said where"),
        (({},), "what rank 0 told is no event (no event of this name)"),
        ((b"[", b"null"), "the connection of rank 0 ended"),
    ],
    ids=["nothing", "no event", "no JSON"],
)
def test_a_group_that_ends_without_an_error_and_a_halt_has_failed(place, words, said):
    launcher = Launcher(lambda: None)
    launcher.start = lambda setup, _: Ended(setup, words)
    launcher.restarts = False  # each attempt waits for the others of a rank that was lost
    result, _ = ended(place, launcher, Control())
    assert result.exit_code == Exit.FAILURE
    assert said in result.document["failure"]["message"]


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


def test_a_launcher_without_restarts_makes_one_attempt(place):
    launcher = Launcher(lambda: None)
    launcher.restarts = False
    result, told = ended(place, launcher, Control())
    assert (launcher.started, result.exit_code) == (1, Exit.FAILURE)
    assert not [event for event in told if isinstance(event, Restarting)]
