"""Worker groups of Ray Train: one group of processes for each attempt, started and supervised by Ray."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from trainjobs.driver.launcher import Group, StartFailed
from trainjobs.driver.ray_errors import deaths_in, failure_of_group
from trainjobs.driver.ray_internals.connection import connect
from trainjobs.driver.ray_local import LocalRay
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
    "RAY_prestart_worker_first_driver": "0",  # as many processes as there are CPUs, which no run asks for
    "RAY_worker_niceness": "0",  # of 15 by default: beside another load workers would hardly come up
    "RAY_DEDUP_LOGS": "0",
    "RAY_COLOR_PREFIX": "0",
    "RES_OPTIONS": "timeout:1 attempts:5",  # TCPStore looks its peers' names up; an unanswered query takes 5 s else
}
"""Environment variables that Ray reads when it is imported; what the user has set stays."""

NODES_INTERVAL_S = 0.2
"""How often a driver that waits for nodes counts them."""


class RayWorkers:
    """A Ray of this machine between `with` and its end. One that is up already is used, and left as it is.

    A manifest made for a cluster's GPUs trains on CPUs where there is not one for each worker.

    Args:
        count: processes that must find a CPU; Ray is told of as many, also where the machine has fewer.
        cluster: the address of one that is up, as `ray.init` takes it. This machine is one of its nodes, and each of
            them has the directories that a run names. Empty: none.
    """

    nodes = 1
    host = "127.0.0.1"
    restarts = True

    def __init__(self, count: int, cluster: str = "") -> None:
        self._count = count
        self._cluster = cluster
        self._ray: LocalRay | None = None
        self._group: RayGroup | None = None

    def __enter__(self) -> Self:
        set_defaults()
        import ray

        if self._cluster:
            self._join()
        elif not ray.is_initialized():
            self._ray = LocalRay(max(self._count, os.cpu_count() or 1))
        return self

    def _join(self) -> None:
        import ray

        try:
            connect(self._cluster)
        except (ConnectionError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise StartFailed(
                f"no Ray cluster can be joined at {self._cluster}, which RAY_ADDRESS names: {reason}; unset it to "
                "train on this machine alone"
            ) from error
        self.host = ray.util.get_node_ip_address()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._cluster:
            import ray

            ray.shutdown()
        if self._ray is not None:
            failed = self._group.error if self._group is not None else None
            self._ray.end(keep=kind is not None or failed is not None)

    def lost(self) -> str:
        """See `Workers.lost`. This machine is there as long as the driver is."""
        return ""

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`."""
        import ray

        trainer = setup.spec.trainer
        enough = ray.cluster_resources().get("GPU", 0) >= trainer.num_workers
        use_gpu = trainer.num_gpus > 0 and enough
        self._group = RayGroup(setup, directory, use_gpu)
        return self._group


class RayCluster:
    """A Ray cluster that others start and end, between `with` and its end; this node is one of its nodes.

    Args:
        address: `host:port` of its head.
        nodes: as many there must be before an attempt begins, no more and no fewer: Ray takes some seconds to see
            that a lost node is gone, and would place a worker there.
        host: this node's address.
        lost: says which nodes are gone.
    """

    restarts = True

    def __init__(self, address: str, nodes: int, host: str, lost: Callable[[], str]) -> None:
        self.nodes = nodes
        self.host = host
        self.lost = lost
        self._address = address

    def __enter__(self) -> Self:
        set_defaults()

        from trainjobs.driver.ray_internals import train  # noqa: F401 - takes seconds, in which Ray's head comes up

        connect(self._address)
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


class RayGroup:
    """`LeanTrainer.fit()` in a thread, so that the caller can go on listening.

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
        from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

        from trainjobs.driver.ray_internals.train import LeanTrainer, remove_placement_groups

        workers = setup.spec.trainer.num_workers
        try:
            self._prepare()
            LeanTrainer(
                work_in_ray,
                train_loop_config={"setup": setup},
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=self._use_gpu),
                run_config=RunConfig(
                    name=f"attempt-{setup.attempt}-{int(setup.launched)}",
                    storage_path=str(directory.absolute()),
                    failure_config=FailureConfig(max_failures=0),
                    logging_config=LoggingConfig(log_level="CRITICAL"),  # of the console; the files have all
                ),
            ).fit()
        except BaseException as error:
            self.deaths = deaths_in(error)
            self.error = failure_of_group(error)
            remove_placement_groups()


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
