"""Worker groups without Ray: forked processes with a gloo process group, which start in a tenth of a second.

Supervision is what Ray's is: when one process fails, the others are killed, and the group has ended in an error.
"""

import multiprocessing
import pickle
import signal
import threading
from dataclasses import replace
from datetime import timedelta
from multiprocessing.connection import wait

import torch
import torch.distributed as dist

from trainjobs.runtime.loop.position import WorkerContext
from trainjobs.runtime.worker import work

PRELOADED = [
    "torch",
    "torch._dynamo",
    "torch.nn.parallel",
    "sklearn.datasets",
    "trainjobs.runtime.worker",
    "forked",
]


class ForkedWorkers:
    """For tests: what `RayWorkers` is for users."""

    nodes = 1
    host = "127.0.0.1"
    restarts = True
    lost_timeout_s = 60.0

    def lost(self):
        return ""

    def __enter__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        return self

    def __exit__(self, *_):
        pass

    def start(self, setup, directory):
        return ForkedGroup(self._context, replace(setup, lost_timeout_s=self.lost_timeout_s))


class ForkedGroup:
    """The processes of one attempt."""

    def __init__(self, context, setup):
        from ray import cloudpickle  # here: the processes, which import this module too, need no Ray

        self.error = None
        self.deaths = {}
        world_size = setup.spec.trainer.num_workers
        crossing = cloudpickle.dumps(setup)  # as Ray does
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.processes = [
            context.Process(target=train_rank, args=(crossing, rank, world_size, store.port), daemon=True)
            for rank in range(world_size)
        ]
        for process in self.processes:
            process.start()
        self._thread = threading.Thread(target=self._supervise, args=(store,), daemon=True)
        self._thread.start()

    @property
    def ended(self):
        return not self._thread.is_alive()

    def _supervise(self, store):
        running = {process.sentinel: process for process in self.processes}
        while running:
            for sentinel in wait(list(running)):
                process = running.pop(sentinel)
                process.join()
                if process.exitcode != 0 and self.error is None:
                    self.error = RuntimeError(f"a worker ended with {process.exitcode}")
                    self.deaths[self.processes.index(process)] = ending(process.exitcode)
                    for other in running.values():
                        other.kill()


def ending(exit_code):
    return (
        f"was killed by {signal.Signals(-exit_code).name}"
        if exit_code < 0
        else f"ended with exit code {exit_code}"
    )


def train_rank(crossing, rank, world_size, port):
    setup = pickle.loads(crossing)
    torch.set_num_threads(1)
    multiprocessing.current_process()._config["daemon"] = False  # as Ray's, it may have children of its own
    store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size)
    work(setup, WorkerContext(rank, world_size, torch.device("cpu")), broadcast)
    dist.destroy_process_group()


def broadcast(text):
    box = [text]
    dist.broadcast_object_list(box, 0)
    return box[0]
