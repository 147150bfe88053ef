"""Which failure of an attempt is named: the first one that no other brought about, and what it was."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
from forked import ForkedWorkers
from trials import Trial

from trainjobs.api.reasons import Reason
from trainjobs.driver.driver import explained
from trainjobs.driver.forkserver import ServerLost
from trainjobs.driver.launcher import StartFailed, Unstartable
from trainjobs.driver.local_launcher import LocalGroup
from trainjobs.exits import Exit
from trainjobs.runs import events

LOSS = {"monitor": "val_loss"}


def failed(trial, what, rank, workers, **parts):
    mishaps = [{"what": what, "step": 10, "rank": rank}]
    return trial.train(stopping=LOSS, config={"mishaps": mishaps}, workers=workers, backoffLimit=0, **parts)


@pytest.mark.parametrize(("workers", "rank"), [(2, 1), (2, 0), (3, 2), (3, 0)])
def test_a_frozen_rank_is_named_as_silent_and_not_as_dead(trial, workers, rank):
    trial.workers.lost_timeout_s = 4.0  # a rank that lives is heard of within them on a busy machine too
    failure = failed(trial, "freeze", rank, workers).document["failure"]
    assert (failure["rank"], failure["kind"]) == (rank, "RankLost")
    assert failure["message"].startswith(f"rank {rank} has not been heard of for 4 s")


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("die", "was killed by SIGKILL"),
        ("exit 3", "ended with exit code 3"),
        ("exit 137", "ended with exit code 137"),
    ],
)
def test_a_process_that_ended_is_named_with_how_it_ended(trial, what, words, workers):
    failure = failed(trial, what, 1, workers).document["failure"]
    assert (failure["rank"], failure["kind"]) == (1, "WorkerDied")
    assert failure["message"] == f"the process of rank 1 {words}"


def test_a_users_error_is_not_tried_again_whatever_its_words(trial):
    mishaps = [{"what": "misread", "step": 10, "rank": 1}]
    result = trial.train(stopping=LOSS, config={"mishaps": mishaps}, workers=3)
    assert result.exit_code == Exit.USER_CODE
    assert result.document["failure"]["message"].startswith("cannot read igloo/3.png")
    assert result.document["failure"]["rank"] == 1
    assert trial.of(events.Restarting) == []


def test_ranks_that_end_with_what_forks_them_say_so():
    class Server:
        def train(self, share, setup, listening):
            raise ServerLost("was killed by SIGKILL")

    group = LocalGroup(
        Server(), SimpleNamespace(spec=SimpleNamespace(trainer=SimpleNamespace(num_workers=2)))
    )
    group._thread.join()
    silent = [events.Failed(rank, Reason.WORKER_DIED, "silent", "", Exit.FAILURE) for rank in (1, 0)]
    words = "ended with the one that starts the workers, which was killed by SIGKILL"
    assert [failure.message for failure in explained(silent, group.deaths)] == [
        f"the process of rank {rank} {words}" for rank in (1, 0)
    ]


class SlowToStart(ForkedWorkers):
    """Not up before the third time."""

    def __init__(self):
        self.entered = 0

    def __enter__(self):
        self.entered += 1
        if self.entered < 3:
            raise StartFailed("Ray did not start within 30 s: this machine is busy (load 22 on 2 cores)")
        return super().__enter__()


@pytest.mark.parametrize(("limit", "code"), [(2, Exit.DONE), (1, Exit.FAILURE), (0, Exit.FAILURE)])
def test_a_failure_to_start_is_a_failed_attempt(tmp_path, limit, code):
    trial = Trial(tmp_path, SlowToStart())
    result = trial.train(max_epochs=1, backoffLimit=limit)
    assert result.exit_code == code
    assert trial.workers.entered == limit + 1
    assert len(trial.of(events.Restarting)) == limit
    failed_attempts = limit + (code != Exit.DONE)
    assert result.document["failedAttempts"] == failed_attempts
    assert result.document["restarts"] == limit
    if code != Exit.DONE:
        assert result.document["failure"]["message"].startswith("Ray did not start within 30 s")
        assert trial.place.result()["state"] == "Failed"
        assert isinstance(trial.place.events()[-1], events.Failed)


class CannotBeUnpickled(ForkedWorkers):
    """Groups end as when Ray Train's controller cannot be made."""

    def start(self, setup, directory):
        class Group:
            ended = True
            error = Unstartable("The actor died because of an error: KeyError: 'type'")
            deaths: ClassVar = {}

        return Group()


def test_what_would_fail_again_is_not_tried_again(tmp_path):
    trial = Trial(tmp_path, CannotBeUnpickled())
    result = trial.train(max_epochs=1)
    assert result.exit_code == Exit.GAVE_UP
    assert trial.of(events.Restarting) == []
    assert result.document["failedAttempts"] == 1
    assert "KeyError: 'type'" in result.document["conditions"][0]["message"]


def test_an_error_of_the_driver_itself_is_a_sentence_and_a_result(trial):
    def break_down(event):
        if isinstance(event, events.Started):
            raise KeyError("criterion")

    result = trial.train(break_down, max_epochs=1)
    assert result.exit_code == Exit.FAILURE
    assert "the driver failed: KeyError: 'criterion'" in trial.place.result()["failure"]["message"]
    assert "in break_down" in (trial.place.path / "driver.log").read_text()


def test_a_run_directory_that_cannot_be_written_any_more_ends_the_run_with_a_result(trial):
    def spoil(event):
        if isinstance(event, events.Starting):
            (trial.place.path / "history.jsonl").mkdir()

    result = trial.train(spoil, max_epochs=1)
    assert result.exit_code == Exit.IO
    assert "history.jsonl" in trial.place.result()["failure"]["message"]
