"""Errors are told apart by what they are and where they were raised: each of these is really raised."""

import os
import signal
import socket
import traceback
from bdb import BdbQuit
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from peers import COLLECTIVES, failures_beside_a_peer, raised
from torch.utils.data import DataLoader, Dataset

from trainjobs.coordination import ConnectionLost, ExchangeMismatch, RankLost, RulingFailed
from trainjobs.exits import DataError, Exit
from trainjobs.runtime.user_code.failures import failure_of
from trainjobs.stopping import MissingMetric


class Images(Dataset):
    """Samples whose reading goes wrong in a process of the loader."""

    def __init__(self, trouble):
        self._trouble = trouble

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self._trouble()


def image_missing():
    raise RuntimeError("cannot read igloo/3.png: NCCL, gloo, Connection closed by peer")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def own_words():
    image_missing()


def database_gone():
    try:
        socket.create_connection(("127.0.0.1", 1), timeout=1)
    except OSError as error:
        raise RuntimeError("Connection closed by peer") from error


def batches(trouble):
    return lambda: list(DataLoader(Images(trouble), num_workers=1))


def too_large():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def twice():
    loss = torch.ones(1, requires_grad=True).square().sum()
    loss.backward()
    loss.backward()


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # torch's own, of the killed process
@pytest.mark.parametrize(
    ("work", "code", "of_peers"),
    [
        (own_words, Exit.USER_CODE, False),
        (raising(ExchangeMismatch(["report", "halt"])), Exit.USER_CODE, True),
        (database_gone, Exit.USER_CODE, False),
        (batches(image_missing), Exit.USER_CODE, False),
        (batches(killed), Exit.FAILURE, False),
        (too_large, Exit.USER_CODE, False),
        (twice, Exit.USER_CODE, True),
        (raising(MemoryError()), Exit.USER_CODE, False),
        (raising(DataError("runs/a:3: damaged")), Exit.DATA, False),
        (raising(MissingMetric("spec.stopping", "val_loss", ("loss",), "epoch 1")), Exit.DATA, False),
        (raising(ConnectionLost("rank 0's store is gone")), Exit.FAILURE, True),
        (raising(RulingFailed("ValueError", "no")), Exit.FAILURE, True),
        (raising(RankLost(0, 5, 60.0, left=True)), Exit.FAILURE, True),
        (raising(RankLost(0, 5, 60.0)), Exit.FAILURE, False),
        (raising(dist.DistBackendError("NCCL error")), Exit.FAILURE, True),
        (raising(dist.DistNetworkError("no route")), Exit.FAILURE, True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_error_is_the_users_unless_it_was_raised_by_what_is_not(work, code, of_peers):
    failure = raised(work)
    assert (failure.exit_code, failure.of_peers) == (code, of_peers)


def test_the_rank_of_a_loss_is_the_lost_one_and_not_the_one_that_misses_it():
    assert raised(raising(RankLost(2, 5, 60.0))).rank == 2


@pytest.mark.parametrize("how", ["killed", "silent"])
@pytest.mark.parametrize("name", COLLECTIVES)
def test_a_collective_that_fails_because_of_a_peer_says_so(name, how):
    plain, under_the_users = failures_beside_a_peer(name, how)
    assert plain.kind == "RuntimeError"
    assert under_the_users.kind == "ValueError"
    assert plain.of_peers
    assert under_the_users.of_peers


@pytest.mark.parametrize("left", [BdbQuit, KeyboardInterrupt])
def test_to_leave_by_hand_is_an_error_only_where_nobody_sits(left):
    assert failure_of(left(), 0, Path(), in_foreground=True).exit_code == Exit.INTERRUPTED
    assert failure_of(left(), 0, Path()).exit_code == Exit.USER_CODE


def test_a_debugger_that_had_no_terminal_names_the_launcher_that_has_one():
    assert "--launcher inline" in failure_of(BdbQuit(), 0, Path()).message


def test_only_the_users_frames_are_shown():
    failure = raised(own_words)
    assert failure.traceback.startswith("Traceback")
    assert str(Path(traceback.__file__)) not in failure.traceback
