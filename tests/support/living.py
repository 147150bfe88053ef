"""Worker groups of living processes: each attempt is trained by the same ranks, which makes a run a matter of 0.1 s.

For runs that halt and end as they should, by the hundred: whoever needs ranks that die takes `forked`.
"""

import multiprocessing
import threading
from datetime import timedelta

import torch
import torch.distributed as dist
from forked import PRELOADED, broadcast
from trials import Trial

from trainjobs.exits import Exit
from trainjobs.runs import events
from trainjobs.runtime.loop.position import WorkerContext
from trainjobs.runtime.worker import work

LOSS = {"monitor": "val_loss"}

HUNG_S = 40
"""A rank without a step for so long says where it stands, before the others miss it and its process ends."""


class LivingWorkers:
    """Starts its ranks once, between `with` and its end."""

    nodes = 1
    host = "127.0.0.1"
    restarts = True

    def __init__(self, world_size):
        self._world_size = world_size
        self._pipes = None

    def lost(self):
        return ""

    def __enter__(self):
        if self._pipes is None:
            self._begin()
        return self

    def __exit__(self, *_):
        """The ranks outlive the run; `close` ends them."""

    def close(self):
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(None)
            process.join(10)
            process.kill()

    def start(self, setup, directory):
        return LivingGroup(self._pipes, setup)

    def _begin(self):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        ends = [context.Pipe() for _ in range(self._world_size)]
        self._pipes = [ours for ours, _ in ends]
        self._processes = [
            context.Process(target=live, args=(theirs, rank, self._world_size, self._store.port), daemon=True)
            for rank, (_, theirs) in enumerate(ends)
        ]
        for process in self._processes:
            process.start()


class LivingGroup:
    """One attempt of the living ranks."""

    def __init__(self, pipes, setup):
        self.error = None
        self.deaths = {}
        self._pipes = pipes
        for pipe in pipes:
            pipe.send(setup)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    @property
    def ended(self):
        return not self._thread.is_alive()

    def _wait(self):
        try:
            errors = [error for pipe in self._pipes if (error := pipe.recv())]
        except EOFError:
            errors = ["a living rank has ended, and its group with it"]
        self.error = RuntimeError(errors[0]) if errors else None


def live(pipe, rank, world_size, port):
    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size)
    while (setup := pipe.recv()) is not None:
        try:
            work(setup, WorkerContext(rank, world_size, torch.device("cpu")), broadcast)
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
        else:
            pipe.send(None)


def shape(**parts):
    """The config of a recipe of `shapes`: the usual loop, but for these parts."""
    usual = {
        "loader": "prepared",
        "leave": "end",
        "evaluate": "after",
        "report": "end",
        "accumulate": 1,
        "prelude": False,
        "epochs": 0,
        "halt": 0,
        "near": False,
    }
    return usual | parts


def trained(living, directory, entrypoint, config, stopping=LOSS, **parts):
    """The trial after as many lives as it takes, and how many those were."""
    directory.mkdir()
    trial = Trial(directory, living)
    for lives in range(1, 4):  # noqa: B007 - it is returned
        result = trial.train(
            entrypoint=f"shapes:{entrypoint}",
            config=config | {"mark": str(directory / "mark")},
            stopping=stopping,
            progressDeadlineSeconds=HUNG_S,
            **{"max_epochs": 3, **parts},
        )
        if result.exit_code != Exit.INTERRUPTED:
            break
    said = [(event.rank, event.text) for event in trial.of(events.Printed)]
    assert result.exit_code == Exit.DONE, (result.document.get("failure"), said)
    return trial, lives


def outcome(trial):
    """What must not depend on interruptions."""
    history = [(seen.epoch, seen.step, seen.whole, dict(seen.metrics)) for seen in trial.place.history()]
    final = trial.of(events.Final)[-1:]
    return history, [event.metrics for event in final], tensors(trial)


def tensors(trial):
    return {name: value.tolist() for name, value in torch.load(trial.place.model, weights_only=True).items()}
