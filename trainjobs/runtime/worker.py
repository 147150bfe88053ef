"""One worker's life: set up its `Run`, call the training function, account for how it ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from trainjobs.api import EnvironmentVariable
from trainjobs.api.reasons import NO_PROGRESS
from trainjobs.coordination import (
    ConnectionLost,
    Coordinator,
    ExchangeMismatch,
    Outcome,
    RankLost,
    SingleCommunicator,
    Vote,
)
from trainjobs.coordination.communicator import Communicator
from trainjobs.exits import ConfigError, Exit, StorageError, UserCodeError, UserError
from trainjobs.runs import events
from trainjobs.runs.attempt import Setup
from trainjobs.runs.channel import Message, RankEnd
from trainjobs.runs.codec import EVENTS, REQUESTS
from trainjobs.runs.requests import ChangeRequest, InterruptRequest, Request, StopRequest
from trainjobs.runs.storage import storage_at
from trainjobs.runtime.checkpoint.store import Checkpoints, Contents, Saved
from trainjobs.runtime.checkpointing import Keeper, Terms
from trainjobs.runtime.custom_loop import StoppingCoordinator
from trainjobs.runtime.position import Interrupted, Place
from trainjobs.runtime.run import Run
from trainjobs.runtime.training_loop import Journey
from trainjobs.runtime.user_code import entrypoint
from trainjobs.runtime.user_code.failures import failure_of
from trainjobs.runtime.user_code.output import captured
from trainjobs.runtime.watchdog import watched
from trainjobs.stopping import Panel

Tell = Callable[[events.Event], None]
Broadcast = Callable[[str | None], str]

PROGRESS_INTERVAL_S = 0.25
"""How often rank 0 tells where it is: smooth to the eye, and nothing to a step."""

LOST_GRACE_S = 5.0
"""How long a worker whose peer is lost may take to leave its collective by itself before its process is ended."""


class TrainingFailed(Exception):
    """What a worker raises after it has told its error, which may be none that Ray or a process can carry."""


def work(setup: Setup, place: Place, broadcast: Broadcast) -> None:
    """Train on this worker; the process group of torch is up.

    Args:
        setup: the same on every worker.
        place: which worker this is.
        broadcast: gives rank 0's text to every rank; a few words, twice.
    """
    inbox = Inbox()
    broadcast = _met(broadcast)
    channel = RankEnd(setup.address, place.rank, inbox.receive)

    def tell(event: events.Event) -> None:
        channel.send(EVENTS.to_dict(event))

    def say(line: str) -> None:
        channel.send_in_turn(EVENTS.to_dict(events.Printed(place.rank, line)))

    def hung(reason: str, stacks: str) -> None:
        for line in (f"{reason}:", *stacks.splitlines()):
            tell(events.Printed(place.rank, line))
        tell(events.Failed(place.rank, NO_PROGRESS, reason, "", Exit.FAILURE))
        channel.close()

    try:
        _set_environment(setup.spec.trainer.env)
        with captured(say), entrypoint.program(setup.code):
            function = entrypoint.load(setup.spec.trainer.entrypoint, setup.code)
            with (
                _coordinated(setup, place, broadcast, tell, inbox) as journey,
                watched(journey, setup.spec.progress_deadline_seconds, hung),
            ):
                _train(setup, journey, tell, function)
    except Interrupted:
        pass
    except BaseException as error:
        failure = failure_of(error, place.rank, setup.code)
        tell(failure)
        raise TrainingFailed(failure.kind) from None
    finally:
        channel.close()


def _set_environment(variables: Sequence[EnvironmentVariable]) -> None:
    """Set the manifest's variables in this process. Raises ConfigError where only a cluster could find the value."""
    for i, variable in enumerate(variables):
        if variable.value_from is None:
            os.environ[variable.name] = variable.value or ""
        elif variable.name not in os.environ:
            raise ConfigError(
                f"spec.trainer.env[{i}]: {variable.name} comes from the cluster (valueFrom); "
                "set it in the environment of this command"
            )


class Inbox:
    """Requests from the driver, as votes of rank 0; those that come before there is a coordinator wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coordinator: Coordinator | None = None
        self._waiting: list[Request] = []

    def receive(self, message: Message) -> None:
        request = REQUESTS.from_dict(message)
        with self._lock:
            if self._coordinator is None:
                self._waiting.append(request)
            else:
                _ask(self._coordinator, request)

    def open(self, coordinator: Coordinator) -> None:
        with self._lock:
            self._coordinator = coordinator
            for request in self._waiting:
                _ask(coordinator, request)


def _ask(coordinator: Coordinator, request: Request) -> None:
    match request:
        case ChangeRequest():
            coordinator.change_panel(Panel.of(request.stopping))
        case StopRequest():
            coordinator.vote(Vote(0, Outcome.STOP_REQUESTED, request.reason))
        case InterruptRequest():
            coordinator.vote(Vote(0, Outcome.INTERRUPTED, request.reason))


@contextmanager
def _coordinated(
    setup: Setup, place: Place, broadcast: Broadcast, tell: Tell, inbox: Inbox
) -> Iterator[Journey]:
    """The checkpoint to resume from, the coordinator, and the journey, for as long as this worker trains."""
    spec = setup.spec
    checkpoints = Checkpoints(storage_at(setup.storage_uri), spec.checkpoint.keep)
    restored = _restored(checkpoints, place, broadcast, tell)
    coordinator = Coordinator(
        _communicator(setup, place, broadcast, tell),
        Panel.of(spec.stopping),
        history=restored[1].history if restored else (),
        timeout_s=setup.lost_timeout_s,
        on_lost=lambda lost: _abandon(lost, place.rank, setup.code, tell),
    )
    terms = Terms(spec.stopping, spec.checkpoint.every_epochs, spec.checkpoint.every_steps)
    with coordinator:
        if place.rank == 0:
            inbox.open(coordinator)
        keeper = Keeper(place.rank, coordinator, checkpoints, terms, restored, tell)
        del restored  # the keeper lets it go when the loop begins
        yield Journey(place, spec.trainer.length, coordinator, keeper)


def _train(setup: Setup, journey: Journey, tell: Tell, function: Callable[[Run], object]) -> None:
    StoppingCoordinator.bind(journey)
    if journey.place.rank == 0:
        tell(_started(setup, journey))
        if (restored := journey.keeper.restored) is not None:  # a new driver has not heard of it
            position = restored.position
            tell(events.Checkpointed(journey.keeper.source, position.epoch, position.step, 0.0))
        threading.Thread(target=_tell_progress, args=(journey, tell), name="progress", daemon=True).start()
    _call(function, Run(setup.spec.trainer.config, journey))
    try:
        journey.finish()
    except ExchangeMismatch as error:
        raise UserCodeError(
            f"the training function has returned on rank {journey.place.rank} while others go on, "
            f"but every rank must return at the same place: {error}"
        ) from None


def _call(function: Callable[[Run], object], run: Run) -> None:
    """`sys.exit()` is a return, as it is a success of a program."""
    try:
        function(run)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise


def _started(setup: Setup, journey: Journey) -> events.Started:
    restored, position = journey.keeper.restored, journey.position
    return events.Started(
        attempt=setup.attempt,
        world_size=journey.place.world_size,
        device=_device_name(journey.place.device),
        resumed_from_step=position.step if restored else None,
        epoch=position.epoch if position.reported else position.epoch - 1,
        max_epochs=setup.spec.trainer.max_epochs,
        max_steps=setup.spec.trainer.max_steps,
        history=tuple(journey.coordinator.history),
        startup_seconds=time.time() - setup.launched,
    )


def _tell_progress(journey: Journey, tell: Tell) -> None:
    """Runs in a thread of its own and reads a few numbers, so that the training loop never stops for it."""
    told = (
        journey.position
    )  # the record knows where the attempt starts; its clock is set when the loop begins
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


def _communicator(setup: Setup, place: Place, broadcast: Broadcast, tell: Tell) -> Communicator:
    if place.world_size == 1:
        return SingleCommunicator()
    from trainjobs.runtime.torch_mailbox import TorchCommunicator

    def stranger() -> None:
        tell(
            events.Warned(
                f"the mailbox of rank {place.rank} has letters that no rank of this run has written: they are dropped; "
                "let no other program reach the ports of a run (docs/security.md)"
            )
        )

    key = setup.address.key
    return TorchCommunicator.connect(place.rank, place.world_size, broadcast, key, stranger)


def _restored(
    checkpoints: Checkpoints, place: Place, broadcast: Broadcast, tell: Tell
) -> tuple[Saved, Contents] | None:
    """The checkpoint to resume from, which rank 0 finds and names; None when there is none. Collective."""
    found = None
    if place.rank == 0:
        checkpoints.check_writable()
        found = checkpoints.latest()
        for reason in found.passed_over if found else ():
            tell(events.Warned(f"passed over a checkpoint: {reason}"))
    name = broadcast((found.saved.name if found else "") if place.rank == 0 else None)
    if not name:
        return None
    if found is not None:
        saved, contents = found.saved, found.contents
    else:
        saved, contents = _loaded_as_on_rank_0(checkpoints, place, name)
    if len(contents.ranks) != place.world_size:
        raise ConfigError(
            f"{saved.uri} was written by {len(contents.ranks)} workers and this run has {place.world_size}; "
            "set numNodes and numProcPerNode as they were, or start anew with --fresh"
        )
    return saved, contents.seen_by(place.rank)


def _loaded_as_on_rank_0(checkpoints: Checkpoints, place: Place, name: str) -> tuple[Saved, Contents]:
    saved = checkpoints.named(name)
    try:
        return saved, checkpoints.load(saved)
    except UserError as error:
        raise StorageError(
            f"rank {place.rank} cannot read the checkpoint that rank 0 has read: {error}. Every node must reach the "
            "same spec.checkpoint.storage"
        ) from error


def _met(broadcast: Broadcast) -> Broadcast:
    """`broadcast` that raises ConnectionLost when others do not come to it: whoever starts ranks has its own errors."""

    def meet(text: str | None) -> str:
        try:
            return broadcast(text)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ConnectionLost(f"the ranks did not meet before the training: {reason}") from error

    return meet


def _abandon(lost: RankLost, rank: int, code: Path, tell: Tell) -> None:
    """Say who is lost, and end this process if its main thread stays in a collective that the lost rank will never
    join."""
    tell(failure_of(lost, rank, code))
    timer = threading.Timer(LOST_GRACE_S, os._exit, args=(Exit.FAILURE,))
    timer.daemon = True
    timer.start()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
