"""Which failure of an attempt is named: the first one that no other brought about, and what it was."""

import pytest
from forked import ForkedWorkers
from trials import Trial

from trainjobs.runtime import events
from trainjobs.runtime.exits import Exit

LOSS = {"monitor": "val_loss"}


@pytest.fixture
def trial(tmp_path):
    """Runs whose ranks miss each other after two seconds."""
    workers = ForkedWorkers()
    workers.lost_timeout_s = 2.0
    return Trial(tmp_path, workers)


def failed(trial, what, rank, workers, **parts):
    mishaps = [{"what": what, "step": 10, "rank": rank}]
    return trial.train(stopping=LOSS, config={"mishaps": mishaps}, workers=workers, backoffLimit=0, **parts)


@pytest.mark.parametrize(("workers", "rank"), [(2, 1), (2, 0), (3, 2), (3, 0)])
def test_a_frozen_rank_is_named_as_silent_and_not_as_dead(trial, workers, rank):
    failure = failed(trial, "freeze", rank, workers).document["failure"]
    assert (failure["rank"], failure["kind"]) == (rank, "RankLost")
    assert failure["message"].startswith(f"rank {rank} has not been heard of for 2 s")


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
