"""Real failures of collectives: a rank beside a peer that is killed or silent."""

import multiprocessing
import os
import signal
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainjobs.runtime.user_code.failures import failure_of

CODE = Path(__file__).parents[1]
PATIENCE = timedelta(seconds=0.5)
"""For a collective; the ranks take their time to meet before it."""
PRELOADED = ["torch", "torch._dynamo", "torch.nn.parallel", "peers"]


def raised(work):
    """What the driver hears of `work`, as rank 0's."""
    try:
        work()
    except BaseException as error:
        return failure_of(error, 0, CODE)
    raise AssertionError("nothing was raised")


def wrapped(work):
    """`work` in a training function that raises an error of its own for it."""

    def again():
        try:
            work()
        except RuntimeError as error:
            raise ValueError("the epoch failed") from error

    return again


def reduced():
    dist.all_reduce(torch.ones(2))


def told():
    dist.broadcast_object_list([None], 1)


def trained():
    model = DistributedDataParallel(torch.nn.Linear(2, 2), init_sync=False)
    for _ in range(3):
        model(torch.ones(1, 2)).sum().backward()


COLLECTIVES = {work.__name__: work for work in (reduced, told, trained)}


def peer(port, how, pipe):
    group(port, 1)
    if how == "killed":
        pipe.recv()
        os.kill(os.getpid(), signal.SIGKILL)
    pipe.recv()


def group(port, rank):
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    dist.distributed_c10d._set_pg_timeout(PATIENCE)


def beside_a_peer(name, how, pipe):
    """Two ranks; the second one is killed or silent, and the first one comes to a collective."""
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("fork").Process(target=peer, args=(server.port, how, theirs))
    other.start()
    group(server.port, 0)
    if how == "killed":
        ours.send(None)
        other.join()
    pipe.send([raised(COLLECTIVES[name]), raised(wrapped(COLLECTIVES[name]))])
    other.kill()


def failures_beside_a_peer(name, how):
    """What is heard of a collective by `name`, plain and in a user's function, beside a peer that is "killed" or
    "silent"."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=beside_a_peer, args=(name, how, theirs))
    process.start()
    theirs.close()
    found = ours.recv()
    process.join()
    return found
