"""Who reaches the ports of a run without its key changes nothing of it."""

import threading
import time
from datetime import timedelta

import pytest
from torch.distributed import DistError, TCPStore

from trainjobs.coordination import Outcome, Vote
from trainjobs.coordination.messages import Goodbye, Heartbeat, RankLostNotice, encode
from trainjobs.exits import Exit
from trainjobs.runs import events

VOTE = encode(Vote(1, Outcome.STOP_REQUESTED, "a stranger"))
LETTERS = [
    b"",
    b"close",
    b"\xff" * 100,
    VOTE,
    *(b"%d:" % rank + words for rank in (0, 1, 7) for words in (VOTE, b"junk", b"{}", b'{"kind": "Vote"}')),
    *(b"0:" + encode(message) for message in (RankLostNotice(1, 3, False), Goodbye(3), Heartbeat(10**9))),
    b"\x00" * 44 + VOTE,
]
"""What opens, ends or breaks a mailbox that believes whoever writes."""


def disturb(marks, over):
    """Put all letters into both mailboxes again and again; the training begins when they have come once."""
    while not (port := marks / "port").exists():
        time.sleep(0.005)
    store = TCPStore(
        "127.0.0.1", int(port.read_text()), wait_for_workers=False, timeout=timedelta(seconds=30)
    )
    while not over.is_set():
        try:
            for letter in LETTERS:
                for rank in (0, 1):
                    store.queue_push(f"to/{rank}", letter)
        except DistError:  # the run is over
            return
        marks.joinpath("stranger").touch()
        over.wait(0.05)


@pytest.fixture(scope="module")
def undisturbed(new_trial, tmp_path_factory):
    trial = new_trial(tmp_path_factory.mktemp("undisturbed"))
    assert trial.train(entrypoint="mailbox:train", config={"stranger": False}).exit_code == Exit.DONE
    return trial.outcome()


def test_letters_of_a_stranger_change_nothing_and_are_told_once_a_rank(trial, undisturbed):
    over = threading.Event()
    stranger = threading.Thread(target=disturb, args=(trial.marks, over))
    stranger.start()
    result = trial.train(entrypoint="mailbox:train", config={"stranger": True, "pause": 0.01}, backoffLimit=0)
    over.set()
    stranger.join()
    assert (result.exit_code, result.document["state"]) == (Exit.DONE, "Finished")
    assert trial.outcome() == undisturbed
    warnings = [event.message for event in trial.of(events.Warned) if "mailbox" in event.message]
    assert sorted(warning.removeprefix("the mailbox of ")[:6] for warning in warnings) == ["rank 0", "rank 1"]
