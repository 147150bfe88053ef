"""What Ray Train calls on every worker: set up one `Run`, call the training function, account for how it ended."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from trainjobs.coordination import (
    CoordinationError,
    Coordinator,
    Outcome,
    RankLost,
    ReportMismatch,
    SingleCommunicator,
    Vote,
)
from trainjobs.coordination.communicator import Communicator
from trainjobs.runtime import entrypoint, events
from trainjobs.runtime.channel import Address, Message, RankEnd
from trainjobs.runtime.checkpoints import Checkpoints, Contents, Saved
from trainjobs.runtime.existing import StoppingCoordinator
from trainjobs.runtime.exits import ConfigError, Exit, UserError
from trainjobs.runtime.journey import Interrupted, Journey, Place
from trainjobs.runtime.keeper import Keeper, Terms
from trainjobs.runtime.run import Run
from trainjobs.runtime.storage import storage_at
from trainjobs.spec import Stopping, TrainJobSpec
from trainjobs.stopping import MissingMetric, Panel

Tell = Callable[[events.Event], None]

PROGRESS_INTERVAL_S = 0.25
"""How often rank 0 tells where it is: smooth to the eye, and nothing to a step."""

LOST_GRACE_S = 5.0
"""How long a worker whose peer is lost may take to leave its collective by itself before its process is ended."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the driver gives to every worker of an attempt."""

    spec: TrainJobSpec
    code: Path
    storage_uri: str
    address: Address
    attempt: int
    launched: float
    """Unix time at which the driver began this attempt."""
    lost_timeout_s: float = 60.0


def work(setup: Setup) -> None:
    """Train on this worker. Ray's process group is up."""
    place = _place()
    inbox = Inbox()
    channel = RankEnd(setup.address, place.rank, inbox.receive)

    def tell(event: events.Event) -> None:
        channel.send(events.to_dict(event))

    try:
        with _coordinated(setup, place, tell, inbox) as journey:
            _train(setup, journey, tell)
    except Interrupted:
        pass
    except BaseException as error:
        tell(_failure(error, place.rank, setup.code))
        raise
    finally:
        channel.close()


class Inbox:
    """Requests from the driver, as votes of rank 0; those that come before there is a coordinator wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coordinator: Coordinator | None = None
        self._waiting: list[Message] = []

    def receive(self, message: Message) -> None:
        with self._lock:
            if self._coordinator is None:
                self._waiting.append(message)
            else:
                _ask(self._coordinator, message)

    def open(self, coordinator: Coordinator) -> None:
        with self._lock:
            self._coordinator = coordinator
            for message in self._waiting:
                _ask(coordinator, message)


def _ask(coordinator: Coordinator, message: Message) -> None:
    if message["request"] == "change":
        coordinator.change_panel(Panel.of(Stopping.model_validate(message["stopping"])))
    else:
        outcome = Outcome.STOP_REQUESTED if message["request"] == "stop" else Outcome.INTERRUPTED
        coordinator.vote(Vote(0, outcome, message["reason"]))


@contextmanager
def _coordinated(setup: Setup, place: Place, tell: Tell, inbox: Inbox) -> Iterator[Journey]:
    """The checkpoint to resume from, the coordinator, and the journey, for as long as this worker trains."""
    spec = setup.spec
    checkpoints = Checkpoints(storage_at(setup.storage_uri), spec.checkpoint.keep)
    restored = _restored(checkpoints, place, tell)
    coordinator = Coordinator(
        _communicator(place),
        Panel.of(spec.stopping),
        history=restored[1].history if restored else (),
        timeout_s=setup.lost_timeout_s,
        on_lost=_abandon,
    )
    terms = Terms(spec.stopping, spec.checkpoint.every_epochs, spec.trainer.max_epochs)
    with coordinator:
        if place.rank == 0:
            inbox.open(coordinator)
        keeper = Keeper(place.rank, coordinator, checkpoints, terms, restored, tell)
        yield Journey(place, spec.trainer.max_epochs, coordinator, keeper)


def _train(setup: Setup, journey: Journey, tell: Tell) -> None:
    function = entrypoint.load(setup.spec.trainer.entrypoint, setup.code)
    StoppingCoordinator.bind(journey)
    if journey.place.rank == 0:
        tell(_started(setup, journey))
        threading.Thread(target=_tell_progress, args=(journey, tell), name="progress", daemon=True).start()
    function(Run(setup.spec.trainer.config, journey))
    journey.finish()


def _started(setup: Setup, journey: Journey) -> events.Started:
    restored, position = journey.keeper.restored, journey.position
    return events.Started(
        attempt=setup.attempt,
        world_size=journey.place.world_size,
        device=_device_name(journey.place.device),
        resumed_from_step=position.step if restored else None,
        epoch=position.epoch if position.reported else position.epoch - 1,
        max_epochs=journey.max_epochs,
        history=tuple(journey.coordinator.history),
        startup_seconds=time.time() - setup.launched,
    )


def _tell_progress(journey: Journey, tell: Tell) -> None:
    """Runs in a thread of its own and reads a few numbers, so that the training loop never stops for it."""
    told = None
    while not journey.rested:
        position = journey.position
        if position != told:
            tell(
                events.Progress(
                    position.epoch, position.step, position.batch, journey.batches, journey.seconds
                )
            )
            told = position
        time.sleep(PROGRESS_INTERVAL_S)


def _place() -> Place:
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    return Place(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())


def _broadcast(place: Place) -> Callable[[str | None], str]:
    """Rank 0's text on every rank. Collective."""
    if place.world_size == 1:
        return lambda text: text or ""
    from ray.train.collective import broadcast_from_rank_zero

    return broadcast_from_rank_zero  # type: ignore[no-any-return]


def _communicator(place: Place) -> Communicator:
    if place.world_size == 1:
        return SingleCommunicator()
    from trainjobs.runtime.communicator import TorchCommunicator

    return TorchCommunicator.connect(place.rank, place.world_size, _broadcast(place))


def _restored(checkpoints: Checkpoints, place: Place, tell: Tell) -> tuple[Saved, Contents] | None:
    """The checkpoint to resume from, which rank 0 finds and names; None when there is none. Collective."""
    name = None
    if place.rank == 0:
        found, damaged = checkpoints.latest()
        name = found.name if found else ""
        for other in damaged:
            tell(events.Warned(f"checkpoint {other} is damaged and was passed over"))
    name = _broadcast(place)(name)
    if not name:
        return None
    saved = checkpoints.named(name)
    contents = checkpoints.load(saved)
    if len(contents.ranks) != place.world_size:
        raise ConfigError(
            f"{saved.uri} was written by {len(contents.ranks)} workers and this run has {place.world_size}; "
            "set numNodes and numProcPerNode as they were, or start anew with --fresh"
        )
    return saved, contents


def _abandon(lost: RankLost) -> None:
    """End this process if its main thread stays in a collective that the lost rank will never join."""
    timer = threading.Timer(LOST_GRACE_S, os._exit, args=(Exit.FAILURE,))
    timer.daemon = True
    timer.start()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _failure(error: BaseException, rank: int, code: Path) -> events.Failed:
    """The error as the user should read it: ours without frames, theirs with their own frames only."""
    ours = isinstance(error, UserError | CoordinationError | MissingMetric)
    frames = "" if ours else _users_frames(error, code)
    return events.Failed(rank, type(error).__name__, str(error), frames, int(exit_code(error)))


def exit_code(error: BaseException) -> Exit:
    """What the driver makes of a worker's error: `Exit.FAILURE` is worth another attempt, the rest is the user's."""
    if isinstance(error, UserError):
        return type(error).exit_code
    if isinstance(error, MissingMetric | ReportMismatch):
        return Exit.DATA
    if isinstance(error, CoordinationError | torch.distributed.DistError) or _is_collateral(error):
        return Exit.FAILURE
    return Exit.USER_CODE


def _is_collateral(error: BaseException) -> bool:
    """Whether a collective failed because another rank did: gloo and NCCL say so in words only."""
    return isinstance(error, RuntimeError) and any(
        word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer")
    )


def _users_frames(error: BaseException, code: Path) -> str:
    """The traceback from the first frame outside Ray, torch's internals and this package."""
    stack = traceback.TracebackException.from_exception(error)
    own = [i for i, frame in enumerate(stack.stack) if Path(frame.filename).is_relative_to(code)]
    if own:
        stack.stack = traceback.StackSummary.from_list(stack.stack[own[0] :])
    return "".join(stack.format())
