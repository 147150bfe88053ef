"""One worker's life: set up its `Run`, call the training function, account for how it ended."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from trainjobs.api import EnvironmentVariable, Stopping
from trainjobs.api.reasons import Reason
from trainjobs.coordination import (
    ConnectionLost,
    Coordinator,
    RankLost,
    SingleCommunicator,
    Vote,
)
from trainjobs.coordination.communicator import Communicator
from trainjobs.exits import ConfigError, Exit
from trainjobs.runs import events
from trainjobs.runs.attempt import Setup
from trainjobs.runs.channel import RankEnd
from trainjobs.runs.requests import ChangeRequest, Request
from trainjobs.runs.storage import storage_at
from trainjobs.runtime.checkpoint.store import Checkpoints
from trainjobs.runtime.custom_loop import StoppingCoordinator
from trainjobs.runtime.loop.halt_agreement import HaltAgreement
from trainjobs.runtime.loop.kept_weights import KeptWeights
from trainjobs.runtime.loop.position import Interrupted, WorkerContext
from trainjobs.runtime.loop.restoring import restored_checkpoint
from trainjobs.runtime.loop.start_clock import StartClock
from trainjobs.runtime.loop.training_loop import TrainingLoop
from trainjobs.runtime.run import Run
from trainjobs.runtime.torch_mailbox import TorchCommunicator
from trainjobs.runtime.user_code import entrypoint
from trainjobs.runtime.user_code.failures import failure_of
from trainjobs.runtime.user_code.output import Say, captured
from trainjobs.runtime.watchdog import WatchedLoop, watched
from trainjobs.stopping import Panel

Broadcast = Callable[[str | None], str]

PROGRESS_INTERVAL_S = 0.25
"""How often rank 0 tells where it is: smooth to the eye, and nothing to a step."""

LOST_GRACE_S = 5.0
"""How long a worker whose peer is lost may take to leave its collective by itself before its process is ended."""


class TrainingFailed(Exception):
    """What a worker raises after it has told its error, which may be none that Ray or a process can carry."""


def work(setup: Setup, context: WorkerContext, broadcast: Broadcast, *, in_foreground: bool = False) -> None:
    """Train on this worker; the process group of torch is up.

    Args:
        setup: the same on every worker.
        context: which worker this is.
        broadcast: gives rank 0's text to every rank; a few words, twice.
        in_foreground: somebody sits at this process. Its terminal is the training function's, nobody ends it because it
            stands, as it does in a debugger, and leaving that is no failure.
    """
    inbox = Inbox(setup)
    broadcast = _reporting_absence(broadcast)
    channel = RankEnd(setup.address, context.rank, inbox.receive)
    tell = channel.send
    start = StartClock(setup.launched, tell if context.rank == 0 else None)
    start.end("workers")

    def say(line: str) -> None:
        channel.send_in_turn(events.Printed(context.rank, line))

    def hung(reason: str, stacks: str) -> None:
        for line in (f"{reason}:", *stacks.splitlines()):
            tell(events.Printed(context.rank, line))
        tell(events.Failed(context.rank, Reason.NO_PROGRESS, reason, "", Exit.FAILURE))
        channel.close()

    def told() -> AbstractContextManager[None]:
        return _failure_told(context.rank, setup.code, tell, in_foreground)

    deadline_s = setup.spec.progress_deadline_seconds
    watching = nullcontext(WatchedLoop()) if in_foreground else watched(deadline_s, hung)
    apart = nullcontext() if in_foreground else _apart(say)
    try:
        with watching as watch, told(), apart, entrypoint.program(setup.code):
            _set_environment(setup.spec.trainer.env)
            with entrypoint.apart_from_forks(setup.code):
                function = entrypoint.load(setup.spec.trainer.entrypoint, setup.code)
            start.end("imports")
            if context.rank == 0 and (slow := _compiled_anew()):
                tell(events.Warned(slow))
            with (
                _coordinated(setup, context, broadcast, tell, inbox, start) as loop,
                told(),
            ):
                watch.loop = loop
                _train(setup, loop, tell, function)
    except Interrupted:
        pass
    finally:
        channel.close()


def _compiled_anew() -> str:
    """Why a start takes longer than it has to; empty if it does not. `uv`, for one, leaves packages uncompiled, and who
    runs in an image can rarely write there."""
    spec = torch.__spec__
    if spec is None or spec.cached is None or Path(spec.cached).exists():
        return ""
    packages = Path(str(spec.origin)).parents[1]
    return (
        f"the packages in {packages} are not compiled, so every process compiles them anew, and a start takes twice as "
        f"long: python -m compileall -q {packages}"
    )


@contextmanager
def _apart(say: Say) -> Iterator[None]:
    """Nobody sits at a worker: what it writes is told, and there is nothing to read."""
    with captured(say), entrypoint.no_input():
        yield


@contextmanager
def _failure_told(rank: int, code: Path, tell: events.Tell, in_foreground: bool) -> Iterator[None]:
    """What fails is told here and once: before coordination ends, for then others fail only because this rank left."""
    try:
        yield
    except (Interrupted, TrainingFailed):
        raise
    except BaseException as error:
        failure = failure_of(error, rank, code, in_foreground=in_foreground)
        tell(failure)
        raise TrainingFailed(failure.kind) from None


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

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._lock = threading.Lock()
        self._coordinator: Coordinator | None = None
        self._waiting: list[Request] = []

    def receive(self, request: Request) -> None:
        with self._lock:
            if self._coordinator is None:
                self._waiting.append(request)
            else:
                self._ask(self._coordinator, request)

    def open(self, coordinator: Coordinator) -> None:
        with self._lock:
            self._coordinator = coordinator
            for request in self._waiting:
                self._ask(coordinator, request)

    def _ask(self, coordinator: Coordinator, request: Request) -> None:
        match request:
            case ChangeRequest():
                coordinator.change_panel(_panel(self._setup, request.stopping))
            case Vote():
                coordinator.vote(request)


def _panel(setup: Setup, stopping: Stopping) -> Panel:
    return Panel.of(stopping, setup.spec.trainer.length, code=setup.code)


@contextmanager
def _coordinated(
    setup: Setup,
    context: WorkerContext,
    broadcast: Broadcast,
    tell: events.Tell,
    inbox: Inbox,
    start: StartClock,
) -> Iterator[TrainingLoop]:
    """The checkpoint to resume from, the coordinator, and the training loop, for as long as this worker trains."""
    spec = setup.spec
    checkpoints = Checkpoints(storage_at(setup.storage_uri), spec.checkpoint.keep)
    restored = restored_checkpoint(checkpoints, context, broadcast, tell)
    coordinator = Coordinator(
        _communicator(setup, context, broadcast, tell),
        _panel(setup, spec.stopping),
        history=restored[1].history if restored else (),
        timeout_s=setup.lost_timeout_s,
        on_lost=lambda lost: _abandon(lost, context.rank, setup.code, tell),
    )
    with coordinator:
        if context.rank == 0:
            inbox.open(coordinator)
        tell_of_all = tell if context.rank == 0 else _nothing
        halts = HaltAgreement(coordinator, tell_of_all)
        kept = KeptWeights(context.rank, coordinator, checkpoints, restored, tell_of_all)
        start.end("checkpoint")
        del restored  # the loop lets it go when it begins
        yield TrainingLoop(context, spec, coordinator, kept, halts, tell_of_all, start)


def _nothing(_: events.Event) -> None:
    """What concerns all ranks, rank 0 tells."""


def _train(setup: Setup, loop: TrainingLoop, tell: events.Tell, function: Callable[[Run], object]) -> None:
    StoppingCoordinator.bind(loop)
    if loop.context.rank == 0:
        tell(_started(setup, loop))
        if (restored := loop.kept.restored) is not None:  # a new driver has not heard of it
            position = restored.position
            tell(events.Checkpointed(loop.kept.source, position.epoch, position.step, 0.0))
        threading.Thread(target=_tell_progress, args=(loop, tell), name="progress", daemon=True).start()
    with entrypoint.apart_from_forks(setup.code):
        _call(function, Run(setup.spec.trainer.config, loop))
    loop.finish()


def _call(function: Callable[[Run], object], run: Run) -> None:
    """`sys.exit()` is a return, as it is a success of a program."""
    try:
        function(run)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise


def _started(setup: Setup, loop: TrainingLoop) -> events.Started:
    restored, position = loop.kept.restored, loop.state.position
    return events.Started(
        attempt=setup.attempt,
        world_size=loop.context.world_size,
        device=_device_name(loop.context.device),
        resumed_from_step=position.step if restored else None,
        epoch=position.epoch if position.reported else position.epoch - 1,
        max_epochs=setup.spec.trainer.max_epochs,
        max_steps=setup.spec.trainer.max_steps,
        history=tuple(loop.coordinator.history),
        startup_seconds=time.time() - setup.launched,
    )


def _tell_progress(loop: TrainingLoop, tell: events.Tell) -> None:
    """Runs in a thread of its own and reads a few numbers, so that the training loop never stops for it."""
    told = loop.state.position  # the record knows where the attempt starts; its clock starts with the loop
    while not loop.checkpoints.halted:
        position = loop.state.position
        if position != told:
            tell(
                events.Progress(
                    position.epoch, position.step, position.batch, loop.steps.total, loop.state.seconds
                )
            )
            told = position
        time.sleep(PROGRESS_INTERVAL_S)


def _communicator(
    setup: Setup, context: WorkerContext, broadcast: Broadcast, tell: events.Tell
) -> Communicator:
    if context.world_size == 1:
        return SingleCommunicator()

    def stranger() -> None:
        tell(
            events.Warned(
                f"the mailbox of rank {context.rank} has letters that no rank of this run has written: they are "
                "dropped; let no other program reach the ports of a run (docs/security.md)"
            )
        )

    key = setup.address.key
    return TorchCommunicator.connect(context.rank, context.world_size, broadcast, key, stranger)


def _reporting_absence(broadcast: Broadcast) -> Broadcast:
    """`broadcast` that raises ConnectionLost when others do not come to it: whoever starts ranks has its own errors."""

    def wrapped(text: str | None) -> str:
        try:
            return broadcast(text)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ConnectionLost(f"the ranks did not meet before the training: {reason}") from error

    return wrapped


def _abandon(lost: RankLost, rank: int, code: Path, tell: events.Tell) -> None:
    """Say who is lost, and end this process if its main thread stays in a collective that the lost rank will never
    join."""
    tell(failure_of(lost, rank, code))
    timer = threading.Timer(LOST_GRACE_S, os._exit, args=(Exit.FAILURE,))
    timer.daemon = True
    timer.start()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
