"""A worker group of Ray Train with the actors that a training run needs: the workers, and the one at which they meet.

Left out are the actors that keep datasets, ask the autoscaler, and look after a placement group (whoever calls `fit`
does, see `remove_placement_groups`). Ray's controller is no actor either: it runs in the process that calls `fit`,
which imports no torch for it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import ray
from ray.train import Result
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.constants import (
    DEFAULT_TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S,
    TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S,
)
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

UNASKED = (DatasetsCallback, PlacementGroupCleanerCallback)
"""Callbacks that start an actor each."""


class LeanTrainer(DataParallelTrainer):  # type: ignore[misc]
    """Ray's `TorchTrainer`, with less."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, backend_config=LeanTorchConfig(), **fields)

    def _create_default_callbacks(self) -> list[Any]:
        return [each for each in super()._create_default_callbacks() if not isinstance(each, UNASKED)]

    def _initialize_and_run_controller(self, **fields: Any) -> Result:
        fields["scaling_policy"] = QuietScaling(self.scaling_config)
        controller = LeanController(**fields)
        asyncio.run(controller.run())
        return controller.get_result()


class LeanWorkerGroup(WorkerGroup):  # type: ignore[misc]
    """Workers that have no actor to ask for all reported checkpoints."""

    def _init_train_context_on_workers(
        self, workers: list[Any], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=sync_actor,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    controller_actor=None,
                    **{name: values[rank] for name, values in train_context_args.items()},
                )
                for rank, worker in enumerate(workers)
            ]
        )


class LeanController(TrainController):  # type: ignore[misc]
    """Ray's controller, of a `LeanWorkerGroup`."""

    worker_group_cls = LeanWorkerGroup


class QuietScaling(FixedScalingPolicy):  # type: ignore[misc]
    """A fixed number of workers, for which no autoscaler is asked: a cluster's sees the placement group wait."""

    def after_controller_start(self, train_run_context: Any) -> None: ...

    def _maybe_send_resource_request(self) -> None: ...


class LeanTorchBackend(Backend):  # type: ignore[misc]
    """Does in the workers what Ray's torch backend does there, and imports no torch here."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) > 0 else "gloo"
        worker_group.execute(load)
        address, port = worker_group.execute_single(0, get_address_and_port)
        size = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(rank, join, backend, address, port, rank, size)
                for rank in range(size)
            ]
        )

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        seconds = os.environ.get(
            TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S, DEFAULT_TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S
        )
        size = len(worker_group)
        ray.wait(worker_group.execute_async(leave, size > 1), num_returns=size, timeout=float(seconds))


class LeanTorchConfig(BackendConfig):  # type: ignore[misc]
    """Ray's `TorchConfig` with its defaults."""

    backend_cls = LeanTorchBackend

    @property
    def train_func_context(self) -> type:
        return Device


class Device:
    """On a worker, while it trains: its GPU is torch's default."""

    def __enter__(self) -> None:
        from ray.train.torch.config import TorchConfigContextManager

        TorchConfigContextManager().__enter__()

    def __exit__(self, *_: object) -> None: ...


def load() -> None:
    """On a worker: import what it trains with, before a port is chosen that others could take meanwhile."""

    import trainjobs.runtime.worker  # noqa: F401


def join(backend: str, address: str, port: int, rank: int, size: int) -> None:
    """On a worker: make torch's process group as Ray's `TorchConfig` does."""
    from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group

    os.environ.update(MASTER_ADDR=address, MASTER_PORT=str(port))
    _set_torch_distributed_env_vars()
    _setup_torch_process_group(backend, rank, size, "env://")


def leave(destroy: bool) -> None:
    """On a worker: let the process group go."""
    from ray.train.torch.config import _shutdown_torch

    _shutdown_torch(destroy_process_group=destroy)


def remove_placement_groups() -> None:
    """Let go of what an attempt of this driver has reserved; Ray keeps it as long as the driver lives."""
    job = ray.get_runtime_context().get_job_id()
    for name, group in placement_group_table().items():
        if name.endswith(job) and group["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(name)))
