"""A rank on this machine: its process group and its device, then a worker's life."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's own stubs hide it

from trainjobs.api import EnvironmentVariable
from trainjobs.runs.attempt import Setup
from trainjobs.runs.share import LOOPBACK, Share
from trainjobs.runtime import ray_context
from trainjobs.runtime.loop.position import WorkerContext
from trainjobs.runtime.worker import work

MEETING_TIMEOUT = timedelta(minutes=30)
"""How long ranks wait for each other's start; who has died is noticed by others, and much earlier."""


def train_rank(setup: Setup, rank: int, share: Share, listener: socket.socket | None) -> None:
    """What each forked process does.

    Args:
        setup: the attempt's.
        rank: this process's.
        share: it, the others on this machine, and where all meet.
        listener: where rank 0's store will listen; none on a machine without rank 0.
    """
    np.random.seed()  # forked processes would all draw the same; Python's own is seeded anew at a fork
    context = _joined(setup, rank, share, listener)
    try:
        work(setup, context, broadcast)
    finally:
        _end_within(setup.spec.progress_deadline_seconds)
    _leave_group()


def train_in_foreground(setup: Setup) -> None:
    """Train the only rank in this process, which goes on afterwards; see `work`."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        context = _joined(setup, 0, Share(0, 1, 1, *listener.getsockname()), listener)
    try:
        work(setup, context, broadcast, in_foreground=True)
    finally:
        _leave_group()


def _leave_group() -> None:
    if dist.is_initialized():  # as programs for `torchrun` end, the training function may have done so
        dist.destroy_process_group()


def _joined(setup: Setup, rank: int, share: Share, listener: socket.socket | None) -> WorkerContext:
    """This process as a rank: what programs for torchrun and Ray Train look for, and the process group."""
    _take_environment(setup.spec.trainer.env, share.count)
    local_rank, world_size = rank - share.first, share.world_size
    _as_torchrun(rank, local_rank, share)
    device = _device(setup.spec.trainer.num_gpus > 0, local_rank, share.count)
    if share.host == LOOPBACK and sys.platform == "linux":  # whatever address this machine's name leads to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = _store(rank, share, listener)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    ray_context.offer(rank, world_size)
    return WorkerContext(rank, world_size, device)


def _take_environment(variables: Sequence[EnvironmentVariable], ranks_here: int) -> None:
    """Set the manifest's variables before gloo and CUDA read theirs, which is when they start. OpenMP has read its own,
    as the process that this one was forked from had it."""
    os.environ.update({each.name: each.value or "" for each in variables if each.value_from is None})
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None:
        torch.set_num_threads(max(1, torch.get_num_threads() // ranks_here))
    elif threads.isdecimal() and int(threads) > 0:
        torch.set_num_threads(int(threads))


def _end_within(seconds: float) -> None:
    """Have the system end this process if it has not by then: handlers of the user's `atexit` may wait for ever, as
    that of multiprocessing does for a child that goes on."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def broadcast(text: str | None) -> str:
    """Rank 0's text on every rank."""
    box = [text]
    dist.broadcast_object_list(box, 0)
    return str(box[0])


def _as_torchrun(rank: int, local_rank: int, share: Share) -> None:
    """The variables that programs for `torchrun` read."""
    numbers = {
        "RANK": rank,
        "LOCAL_RANK": local_rank,
        "WORLD_SIZE": share.world_size,
        "LOCAL_WORLD_SIZE": share.count,
    }
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update(MASTER_ADDR=share.host, MASTER_PORT=str(share.port))


def _device(wanted: bool, local_rank: int, local_world_size: int) -> torch.device:
    """This rank's own GPU, where one is wanted and there is one for each rank of this machine."""
    if not wanted or torch.cuda.device_count() < local_world_size:
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _store(rank: int, share: Share, listener: socket.socket | None) -> TCPStore:
    host, port, world_size = share.host, share.port, share.world_size
    if rank == 0 and listener is not None:
        descriptor = listener.detach()
        return TCPStore(
            host, port, world_size, True, MEETING_TIMEOUT, wait_for_workers=False, master_listen_fd=descriptor
        )
    if listener is not None:
        listener.close()
    return TCPStore(host, port, world_size, False, MEETING_TIMEOUT)
