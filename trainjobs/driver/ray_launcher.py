"""Worker groups of Ray Train: one group of processes for each attempt, started and supervised by Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

from trainjobs.driver.launcher import Group, StartFailed
from trainjobs.driver.ray_errors import deaths_in, failure_of_group, start_failure
from trainjobs.driver.ray_ports import named_ports
from trainjobs.runs.attempt import Setup

SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # the default of 2 s is how late Ray notices that training ended
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a preemption reaches the run as a request to interrupt
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # each line would come twice, through a logger too
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # waiting for nodes is the operator's to limit; slow is not lost
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_agent_register_timeout_ms": "300000",  # a busy machine is not a broken one
    "RAY_DEDUP_LOGS": "0",
    "RAY_COLOR_PREFIX": "0",
    "RES_OPTIONS": "timeout:1 attempts:5",  # TCPStore looks its peers' names up; an unanswered query takes 5 s else
}
"""Environment variables that Ray reads when it is imported; what the user has set stays."""

NODES_INTERVAL_S = 0.2
"""How often a driver that waits for nodes counts them."""


class RayWorkers:
    """A local Ray between `with` and its end; one that is up already is used, and left as it is.

    A manifest made for a cluster's GPUs trains on CPUs where there is not one for each worker.

    Args:
        count: processes that must find a CPU; Ray is told of as many, also where the machine has fewer.
    """

    nodes = 1
    host = "127.0.0.1"

    def __init__(self, count: int) -> None:
        self._count = count
        self._mine = False

    def __enter__(self) -> Self:
        set_defaults()
        import ray

        if not ray.is_initialized():
            keep_token_private()
            with _all_or_nothing(), _own_signal_handlers(), named_ports():
                ray.init(
                    num_cpus=max(self._count, os.cpu_count() or 1),
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
            self._mine = True
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._mine:
            ray.shutdown()

    def lost(self) -> str:
        """See `Workers.lost`. This machine is there as long as the driver is."""
        return ""

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`."""
        import ray

        trainer = setup.spec.trainer
        enough = ray.cluster_resources().get("GPU", 0) >= trainer.num_workers
        use_gpu = trainer.num_gpus > 0 and enough
        return RayGroup(setup, directory, use_gpu)


class RayCluster:
    """A Ray cluster that others start and end, between `with` and its end; this node is one of its nodes.

    Args:
        address: `host:port` of its head.
        nodes: as many there must be before an attempt begins, no more and no fewer: Ray takes some seconds to see
            that a lost node is gone, and would place a worker there.
        host: this node's address.
        lost: says which nodes are gone.
    """

    def __init__(self, address: str, nodes: int, host: str, lost: Callable[[], str]) -> None:
        self.nodes = nodes
        self.host = host
        self.lost = lost
        self._address = address

    def __enter__(self) -> Self:
        set_defaults()
        import ray

        with _own_signal_handlers():
            ray.init(self._address, logging_level=logging.ERROR, log_to_driver=False)
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`."""
        use_gpu = setup.spec.trainer.num_gpus > 0
        return RayGroup(setup, directory, use_gpu, self._wait_for_nodes)

    def _wait_for_nodes(self) -> None:
        import ray

        while sum(node["Alive"] for node in ray.nodes()) != self.nodes:
            time.sleep(NODES_INTERVAL_S)


def set_defaults() -> None:
    """Set `SETTINGS` where the user has set nothing; before Ray is imported or its processes start."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def keep_token_private() -> None:
    """Close the directory in which Ray keeps this user's token, a file for all to read: whoever has it runs code in
    this user's clusters. Before the token is made, so that there is no moment at which another user could read it."""
    directory = Path.home() / ".ray"
    with suppress(OSError):  # another user's, or none can be made: then Ray makes no token there
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)


class RayGroup:
    """`TorchTrainer.fit()` in a thread, so that the caller can go on listening.

    Args:
        use_gpu: whether each worker gets a GPU of its own.
        prepare: called in that thread first.
    """

    def __init__(
        self, setup: Setup, directory: Path, use_gpu: bool, prepare: Callable[[], object] = lambda: None
    ) -> None:
        self._use_gpu = use_gpu
        self._prepare = prepare
        self.error: BaseException | None = None
        self.deaths: Mapping[int, str] = {}
        self._thread = threading.Thread(target=self._fit, args=(setup, directory), name="fit", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def _fit(self, setup: Setup, directory: Path) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        workers = setup.spec.trainer.num_workers
        try:
            self._prepare()
            TorchTrainer(
                work_in_ray,
                train_loop_config={"setup": setup},
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=self._use_gpu),
                run_config=RunConfig(
                    name=f"attempt-{setup.attempt}-{int(setup.launched)}",
                    storage_path=str(directory.absolute()),
                    failure_config=FailureConfig(max_failures=0),
                ),
            ).fit()
        except BaseException as error:
            self.deaths = deaths_in(error)
            self.error = failure_of_group(error)


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """A Ray that does not come up leaves no process behind. Raises StartFailed."""
    began, me = time.monotonic(), psutil.Process()
    before = set(me.children(recursive=True))
    try:
        yield
    except Exception as error:
        import ray

        ray.shutdown()
        for process in set(me.children(recursive=True)) - before:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        raise StartFailed(start_failure(error, time.monotonic() - began)) from error


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """`ray.init` makes SIGTERM an immediate exit; here it is a request to halt."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def work_in_ray(config: dict[str, Setup]) -> None:
    """What Ray Train calls on every worker."""
    import ray.train
    import ray.train.torch
    from ray.train.collective import broadcast_from_rank_zero

    from trainjobs.runtime.loop.position import WorkerContext
    from trainjobs.runtime.worker import work

    rays = ray.train.get_context()
    context = WorkerContext(rays.get_world_rank(), rays.get_world_size(), ray.train.torch.get_device())
    work(config["setup"], context, broadcast_from_rank_zero)
