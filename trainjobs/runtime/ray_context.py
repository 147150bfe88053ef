"""`ray.train.get_context()` in a rank that Ray has not started: Ray Train's own local mode, set up only when the
training code imports Ray, whose import takes as long as torch's.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch.distributed as dist

MODULE = "ray.train.v2._internal.execution.train_fn_utils"
"""Where Ray Train keeps what a training function asks."""


def offer(rank: int, world_size: int) -> None:
    """From now on an import of Ray Train finds this rank in its place."""
    sys.meta_path.insert(0, _Offer(rank, world_size))


class _Offer(MetaPathFinder):
    """Finds `MODULE` as anybody would, and sets it up when it has been imported."""

    def __init__(self, rank: int, world_size: int) -> None:
        self._rank = rank
        self._world_size = world_size

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        if (spec := importlib.util.find_spec(fullname)) is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_set_up(module: ModuleType) -> None:
            execute(module)
            module.set_train_fn_utils(self._utilities(module))

        spec.loader.exec_module = execute_and_set_up  # type: ignore[method-assign]
        return spec

    def _utilities(self, module: ModuleType) -> Any:
        """Ray's local ones, but ranks do meet: Ray would have each one wait for itself alone."""

        class Utilities(module.LocalTrainFnUtils):  # type: ignore[misc,name-defined]
            def barrier(self) -> None:
                dist.barrier()

            def broadcast_from_rank_zero(self, data: Any) -> Any:
                box = [data]
                dist.broadcast_object_list(box, 0)
                return box[0]

        return Utilities(
            experiment_name="trainjobs",
            world_size=self._world_size,
            world_rank=self._rank,
            local_rank=self._rank,
            local_world_size=self._world_size,
        )
