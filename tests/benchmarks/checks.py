"""The ways to learn after each step whether to stop: ours, and what one would use without it.

Every check answers the same question on every rank: does anybody want to stop? Each one is called as its project
documents it. `no check` answers without asking; it runs twice, and the second is the control: whatever sets it apart
from the first is noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.distributed as dist

from trainjobs.api import Stopping
from trainjobs.coordination import Coordinator
from trainjobs.runtime.torch_mailbox import TorchCommunicator
from trainjobs.stopping import Panel

Check = Callable[[], bool]

NONE = "no check"
CONTROL = "no check again"
POLL = "poll"
BROADCAST = "blocking broadcast"
ASYNCHRONOUS = "asynchronous all_reduce"
ACCELERATE = "accelerate check_trigger"
LIGHTNING = "lightning reduce_boolean_decision"
RAY = "ray broadcast_from_rank_zero"


def checks(coordinator: Coordinator, device: torch.device) -> Mapping[str, Check]:
    """Those that need nothing but a process group."""
    return {
        NONE: never,
        CONTROL: never,
        POLL: coordinator.poll,
        BROADCAST: blocking_broadcast(device),
        ASYNCHRONOUS: AsynchronousReduction(device),
        ACCELERATE: accelerate_trigger(),
        LIGHTNING: lightning_reduction(device),
    }


def ray_checks(coordinator: Coordinator) -> Mapping[str, Check]:
    """Those of a worker of Ray Train."""
    from ray.train.collective import broadcast_from_rank_zero

    return {
        NONE: never,
        CONTROL: never,
        POLL: coordinator.poll,
        RAY: lambda: bool(broadcast_from_rank_zero(False)),
    }


def never() -> bool:
    return False


def blocking_broadcast(device: torch.device) -> Check:
    """Rank 0's flag over the process group of the training, read at once."""
    flag = torch.zeros(1, device=device)

    def check() -> bool:
        dist.broadcast(flag, src=0)
        return bool(flag.item())

    return check


class AsynchronousReduction:
    """The simplest peer: an all_reduce of one number, started after one step and read after the next.

    In a process group of its own, so that it waits for no gradient. All ranks learn of a wish at the same step, one
    step late, as long as every rank makes the same number of steps. A call for nobody is in flight after the last one.
    """

    def __init__(self, device: torch.device) -> None:
        self._group = dist.new_group()
        self._wish = torch.zeros(1, device=device)
        self._work: dist.Work | None = None

    def __call__(self) -> bool:
        wished = False
        if self._work is not None:
            self._work.wait()
            wished = bool(self._wish.item())
        self._wish.zero_()
        self._work = dist.all_reduce(self._wish, group=self._group, async_op=True)
        return wished


def accelerate_trigger() -> Check:
    """`Accelerator.check_trigger`; takes the existing process group over from the environment's RANK and so on."""
    from accelerate import Accelerator

    return Accelerator(cpu=not torch.cuda.is_available()).check_trigger


def lightning_reduction(device: torch.device) -> Check:
    """`DDPStrategy.reduce_boolean_decision`, what Lightning's `EarlyStopping` calls, on the existing process group."""
    from lightning.fabric.plugins.environments import TorchElasticEnvironment
    from lightning.fabric.strategies import DDPStrategy

    environment = TorchElasticEnvironment()
    devices = [torch.device(device.type, rank) for rank in range(dist.get_world_size())]
    strategy = DDPStrategy(
        parallel_devices=devices if device.type == "cuda" else [device] * len(devices),
        cluster_environment=environment,
    )
    return lambda: strategy.reduce_boolean_decision(False, all=False)


def coordinated(broadcast: Callable[[str | None], str]) -> Coordinator:
    """A coordinator of this rank, as the runtime makes it. Collective."""
    stopping = Stopping.model_validate({"monitor": "val_loss", "criteria": [{"plateau": {"patience": 5}}]})
    communicator = TorchCommunicator.connect(dist.get_rank(), dist.get_world_size(), broadcast, b"key")
    return Coordinator(communicator, Panel.of(stopping))


def broadcast_text(text: str | None) -> str:
    """Rank 0's text on every rank, over the process group. Collective."""
    box = [text]
    dist.broadcast_object_list(box, src=0)
    return str(box[0])
