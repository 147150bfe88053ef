"""A run that a framework drives: its ranks agree here, and rank 0 keeps it in a run directory."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from trainjobs.adapters.judged_run import START, JudgedRun, Judgement, Place
from trainjobs.adapters.surrounding_run import SurroundingRun
from trainjobs.api import Stopping, TrainJob
from trainjobs.api.manifest import SpecError
from trainjobs.coordination import Coordinator, Decision, SingleCommunicator, Vote
from trainjobs.driver.manifest_watch import INTERVAL_S, ManifestWatch
from trainjobs.exits import Exit, UserError
from trainjobs.runs import events
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.recorder import RunRecorder
from trainjobs.runs.requests import ChangeRequest, Request
from trainjobs.runtime import StoppingCoordinator
from trainjobs.runtime.checkpoint.contents import Position
from trainjobs.runtime.loop.halt_agreement import HaltAgreement
from trainjobs.runtime.torch_mailbox import TorchCommunicator
from trainjobs.stopping import Observation, Panel
from trainjobs.views.plain import Beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainjobs.coordination import Communicator

LONGEST = 1_000_000
"""Epochs of a run for which its framework names no end: the most that a manifest may say."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an adapter knows of its run before it begins."""

    name: str
    """The framework's, such as "lightning"; names the run and the adapter in the kept manifest."""
    stopping: Stopping
    run_dir: Path
    max_epochs: int | None
    """None or less than 1: the framework names no end."""
    max_steps: int | None
    verbose: bool = False
    """Rank 0 prints a line for each report and decision."""

    def job(self, world_size: int) -> TrainJob:
        """The manifest under which the run is kept."""
        steps = self.max_steps if self.max_steps and self.max_steps > 0 else None
        epochs = self.max_epochs if self.max_epochs and self.max_epochs > 0 else None
        trainer = {
            "entrypoint": f"trainjobs.adapters.{self.name}:begin",
            "numProcPerNode": world_size,
            **({"maxEpochs": epochs or LONGEST} if epochs or not steps else {"maxSteps": steps}),
        }
        document = {
            "metadata": {"name": self.name},
            "spec": {
                "trainer": trainer,
                "stopping": self.stopping.model_dump(by_alias=True, exclude_unset=True),
            },
        }
        return TrainJob.model_validate(document)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What rank 0 tells the others before they can talk."""

    key: bytes
    history: tuple[Observation, ...]


class KeptRun:
    """See `JudgedRun`. Begin it with all ranks in torch's default process group, if there are several.

    Args:
        terms: the same on every rank.
        at: where the framework begins; after a step of its own checkpoint the run directory's history goes on there.

    Raises:
        CannotCreate: the run directory is another process's, or holds files and no run.
        RankLost: the ranks have not met.
    """

    def __init__(self, terms: Terms, at: Place) -> None:
        self._rank, world_size = _rank_and_world_size()
        self._held = ExitStack()
        self._record: _Record | None = None
        job = terms.job(world_size)
        self._length = job.spec.trainer.length
        opening = self._open(terms, job, at, world_size)
        self._coordinator = Coordinator(
            _communicator(self._rank, world_size, opening.key),
            Panel.of(terms.stopping, self._length),
            history=opening.history,
        )
        if self._record is not None:
            self._record.watch(self._coordinator)
        self._halts = HaltAgreement(self._coordinator, self._tell)
        seconds = opening.history[-1].seconds if opening.history else 0.0
        self._began = time.monotonic() - seconds
        self._ended = False
        if opening.history:
            self._halts.judge_restored_history()
        self._coordinator.begin(at.step, seconds)
        self._halts.agree_on_halt(self._position(at))

    @property
    def decision(self) -> Decision | None:
        """See `JudgedRun`, as for all below."""
        return self._coordinator.decision

    def poll(self, at: Place) -> bool:
        if self._halts.halted or self._ended:
            return self._halts.halted
        return self._coordinator.poll() and self._halts.agree_on_halt(self._position(at))

    def report(self, at: Place, metrics: Mapping[str, float]) -> Judgement:
        if self._halts.halted or self._ended:
            return Judgement(self._halts.halted, False, {})
        pairs = {name: (float(value), 1.0) for name, value in metrics.items()}
        seconds = round(time.monotonic() - self._began, 3)
        reported = self._coordinator.report(at.epoch, at.step, seconds, pairs, whole=at.whole)
        if (seen := reported.observation) is not None and reported.ruling is not None:
            self._tell(events.Reported.of(seen, reported.ruling, len(self._coordinator.history)))
        leave = self._halts.agree_on_halt(self._position(at))
        return Judgement(leave, reported.best, seen.metrics if seen else {})

    def end(self, at: Place) -> None:
        if self._ended:
            return
        self._ended = True
        trained = self._length.named(at.epochs, at.step)
        self._halts.conclude(self._position(at), whole=trained >= self._length.amount)
        if self._record is not None:
            self._record.close()
        self._coordinator.close()
        self._held.close()

    def fail(self, error: BaseException) -> None:
        if self._ended:
            return
        self._ended = True
        code = error.exit_code if isinstance(error, UserError) else Exit.USER_CODE
        if self._record is not None:
            self._record.take(events.Failed(self._rank, type(error).__name__, str(error), "", code))
            self._record.close()
        self._coordinator.close(abandoned=True)
        self._held.close()

    def _open(self, terms: Terms, job: TrainJob, at: Place, world_size: int) -> _Opening:
        """Rank 0 opens the run directory. What it raises, every rank raises."""
        opened: _Opening | UserError | None = None
        if self._rank == 0:
            try:
                self._record = _Record(terms, job, at, world_size, self._held)
                opened = _Opening(secrets.token_bytes(32), self._record.history)
            except UserError as error:
                opened = error
        told = _from_rank_0(opened, world_size)
        if isinstance(told, UserError):
            raise told
        assert told is not None  # noqa: S101 - rank 0 has told one or the other
        return told

    def _tell(self, event: events.Event) -> None:
        if self._record is not None:
            self._record.take(event)

    def _position(self, at: Place) -> Position:
        seconds = time.monotonic() - self._began
        return Position(at.epoch, at.step, batch=0 if at.whole else 1, reported=at.whole, seconds=seconds)


class _Record:
    """Rank 0's: the run directory, and what is asked there of the run."""

    def __init__(self, terms: Terms, job: TrainJob, at: Place, world_size: int, held: ExitStack) -> None:
        directory = RunDirectory(terms.run_dir)
        earlier = self._make_room(directory, at, held)
        attempt = 1 + sum(isinstance(event, events.Started) for event in earlier)
        self.history = tuple(seen for seen in directory.history() if seen.step <= at.step) if at.step else ()
        """The reports until there, of a run that goes on."""
        directory.write_job(job)
        directory.clear_result()
        sink: Callable[[events.Event], None] = Beside() if terms.verbose else _nothing
        self._lock = threading.Lock()
        self._recorder = RunRecorder(job, directory, sink)
        self._watch = ManifestWatch(directory)
        self._directory = directory
        self._over = threading.Event()
        self.take(
            events.Started(
                attempt=attempt,
                world_size=world_size,
                device=_device(),
                resumed_from_step=at.step or None,
                epoch=at.epochs,
                max_epochs=job.spec.trainer.max_epochs,
                history=self.history,
                max_steps=job.spec.trainer.max_steps,
            )
        )

    def take(self, event: events.Event) -> None:
        with self._lock:
            self._recorder.take(event)

    def watch(self, coordinator: Coordinator) -> None:
        """From now on an edit of the manifest in the run directory asks something of the run."""
        threading.Thread(target=self._look, args=(coordinator,), name="manifest", daemon=True).start()

    def close(self) -> None:
        """Write the result."""
        self._over.set()
        with self._lock:
            self._recorder.close()

    def _look(self, coordinator: Coordinator) -> None:
        while not self._over.wait(INTERVAL_S):
            try:
                if (request := self._watch.look(self._recorder.job, time.monotonic())) is not None:
                    self._ask(coordinator, request)
            except (UserError, SpecError) as error:
                self.take(events.Warned(str(error)))

    def _ask(self, coordinator: Coordinator, request: Request) -> None:
        match request:
            case ChangeRequest(stopping):
                coordinator.change_panel(Panel.of(stopping, self._recorder.job.spec.trainer.length))
                self.take(events.CriteriaChanged(stopping))
                self._watch.wrote()
            case Vote():
                coordinator.vote(request)

    def _make_room(self, directory: RunDirectory, at: Place, held: ExitStack) -> tuple[events.Event, ...]:
        """Hold the directory, with the run that goes on there; an earlier one is moved aside. Its events so far."""
        directory.check_ours()
        if directory.exists() and not at.step:
            with directory.hold():
                directory.move_aside()
        held.enter_context(directory.hold())
        return directory.events()


def _nothing(_: events.Event) -> None:
    """Nobody reads lines."""


def _rank_and_world_size() -> tuple[int, int]:
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _from_rank_0(value: T, world_size: int) -> T:
    """Rank 0's value on every rank. Collective."""
    if world_size == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[no-any-return]


def _communicator(rank: int, world_size: int, key: bytes) -> Communicator:
    if world_size == 1:
        return SingleCommunicator()
    return TorchCommunicator.connect(rank, world_size, lambda text: _from_rank_0(text, world_size) or "", key)


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def begin(terms: Terms, at: Place = START) -> JudgedRun:
    """The run of this process: the one that `trainjobs run` has started, whose manifest judges then, else a kept one.

    Collective. Raises what `KeptRun` raises.
    """
    if StoppingCoordinator.is_bound():
        return SurroundingRun(StoppingCoordinator.current())
    return KeptRun(terms, at)
