"""The driver: starts the workers through a launcher, listens to them, and owns the outcome.

It trains nothing itself. Attempts follow each other until one ends well or the retry rule gives up; each resumes from
the newest checkpoint on the storage, which the workers find by themselves.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from trainjobs.api import TrainJob
from trainjobs.api.manifest import SpecError
from trainjobs.api.reasons import Reason
from trainjobs.api.storage_uri import below, storage_root
from trainjobs.coordination import Decision, Outcome, Vote
from trainjobs.driver.launcher import StartFailed, Unstartable, Workers, WorkersFailed
from trainjobs.driver.manifest_watch import ManifestWatch
from trainjobs.driver.retry import GiveUp, Leave, Verdict, after_failure
from trainjobs.exits import Exit, UserError
from trainjobs.runs import events
from trainjobs.runs.attempt import Setup, written
from trainjobs.runs.channel import DriverEnd
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.recorder import RunEnd, RunRecorder
from trainjobs.runs.requests import ChangeRequest, Control, Request, asked_from_the_start, interrupt_request
from trainjobs.tracking.tracker import Ending, TrackedRun
from trainjobs.tracking.trackers import Trackers

LISTEN_INTERVAL_S = 0.05
"""How long a request may wait while no event comes."""
LAST_WORDS_S = 2.0
"""How long words of ranks that have ended may still be under way; a node that is lost never hangs up."""


def train(
    job: TrainJob,
    directory: RunDirectory,
    sink: Callable[[events.Event], None],
    control: Control,
    code: Path,
    workers: Workers | None = None,
    failed_attempts: int = 0,
    storage: str = "",
    began: float | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> RunEnd:
    """Train a job until it ends, and write its result.

    Args:
        job: the manifest.
        place: its run directory, held by the caller.
        sink: is told everything that happens, in the calling thread.
        control: requests to stop, interrupt or change; read in the calling thread.
        code: directory searched for the entrypoint's module first.
        workers: what starts worker groups. Default: Ray on this machine.
        failed_attempts: of earlier drivers, which count against `backoffLimit` too.
        storage: where checkpoints go, as a path or URI. Default: as the manifest says.
        began: unix time from which the start of the first attempt is counted. Default: now.
        parameters: what a trial is compared by. Default: the trainer's `config`.

    Raises ConfigError for a tracker that is not installed.
    """
    from trainjobs.driver.ray_launcher import RayWorkers

    trackers = Trackers(job, TrackedRun.of(job, directory.path, storage, parameters))

    def tell(event: events.Event) -> None:
        sink(event)
        trackers(event)
        for trouble in trackers.troubles():
            record.take(events.Warned(trouble))

    record = RunRecorder(job, directory, tell)
    workers = workers or RayWorkers(job.spec.trainer.num_workers)
    try:
        record.take(events.Starting(job.spec.trainer.num_workers, workers.nodes))
        place = storage or storage_uri(job, directory)
        Driver(directory, record, control, code, workers, place, began or time.time()).run(failed_attempts)
    except Exception as error:  # whatever it is, the run has a result
        record.fail(_of_driver(error, directory))
    ended = record.close()
    for trouble in trackers.end(Ending.of(record.job, record.state)):
        record.take(events.Warned(trouble))
    return ended


class Driver:
    """One run: its attempts, and the requests made of it meanwhile."""

    def __init__(
        self,
        directory: RunDirectory,
        record: RunRecorder,
        control: Control,
        code: Path,
        workers: Workers,
        storage: str,
        began: float,
    ) -> None:
        self._directory = directory
        self._record = record
        self._control = control
        self._code = code
        self._workers = workers
        self._storage = storage
        self._began = began
        self._watch = ManifestWatch(directory)
        self._ending: Vote | None = asked_from_the_start(record.job)
        self._open = ExitStack()
        self._ready = False

    def run(self, failed_attempts: int) -> None:
        """Attempt until one ends well or the retry rule gives up."""
        with self._open:
            self._attempts(failed_attempts)

    def _attempts(self, failed_attempts: int) -> None:
        for attempt in count(1):
            self._record.count(attempt - 1, failed_attempts)
            failures = self._attempt(attempt)
            if not failures:
                return
            verdict, failed_attempts = self._judged(failures, failed_attempts)
            if isinstance(verdict, Leave):
                self._leave(verdict.cause)
                return
            self._record.count(attempt - 1, failed_attempts)
            if isinstance(verdict, GiveUp):
                self._record.take(verdict.cause)
                return
            saved = self._record.state.checkpoint
            step = saved.step if saved else 0
            self._record.take(events.Restarting(attempt + 1, verdict.reason, step, failed_attempts))

    def _judged(self, failures: Sequence[events.Failed], before: int) -> tuple[Verdict, int]:
        """What follows an attempt's failures, and how many attempts have failed with it; `before`, without it."""
        lost = self._workers.lost()
        failed = before + (not lost)
        limit = self._record.job.spec.backoff_limit if self._workers.restarts else 0
        leaving = self._ending is not None and self._ending.outcome is Outcome.INTERRUPTED
        return after_failure(failures, failed, limit, lost, leaving=leaving), failed

    def _leave(self, cause: events.Failed) -> None:
        """The run was asked to leave, and has no workers any more that could decide it."""
        reason = self._ending.reason if self._ending else cause.message
        decision = Decision.of_vote(interrupt_request(reason), self._record.state.step, time.time())
        self._record.take(
            events.Warned(f"{cause.message}, before it had halted: only what was kept earlier is kept")
        )
        self._record.take(events.Decided(decision))

    def _attempt(self, attempt: int) -> list[events.Failed]:
        """One life of the worker group, and what failed if it did not end well. Well ends who has told where the run
        halted, and said good-bye."""
        launched = self._began if attempt == 1 else time.time()
        try:
            self._get_ready()
        except StartFailed as error:
            return [_of_launcher(error)]
        heard: SimpleQueue[tuple[int, events.Event]] = SimpleQueue()
        channel = DriverEnd(self._workers.host, lambda *told: heard.put(told))
        group = self._workers.start(self._setup(attempt, channel, launched), self._directory.path / "ray")
        if self._ending is not None:
            channel.request(self._ending)
        failures: list[events.Failed] = []
        try:
            while not group.ended:
                self._pass_on_requests(channel)
                with suppress(Empty):
                    self._take(channel, heard.get(timeout=LISTEN_INTERVAL_S), failures)
            self._pass_on_requests(channel)
            channel.drain(LAST_WORDS_S)
            while not heard.empty():
                self._take(channel, heard.get(), failures)
        finally:
            channel.close()
        ended = self._record.state.halted is not None
        ending = group.error or (
            None if ended else WorkersFailed("the workers have ended, and none said where")
        )
        return [*explained(failures, group.deaths), *([_of_launcher(ending)] if ending else [])]

    def _get_ready(self) -> None:
        if not self._ready:
            self._open.enter_context(self._workers)
            self._ready = True

    def _take(
        self, channel: DriverEnd, heard: tuple[int, events.Event], failures: list[events.Failed]
    ) -> None:
        rank, event = heard
        failures.append(event) if isinstance(event, events.Failed) else self._record.take(event)
        if isinstance(event, events.Printed):
            channel.took(rank)

    def _setup(self, attempt: int, channel: DriverEnd, launched: float) -> Setup:
        job = self._record.job
        return Setup(
            manifest=written(job.spec),
            code=self._code,
            storage_uri=self._storage,
            address=channel.address,
            attempt=attempt,
            launched=launched,
        )

    def _pass_on_requests(self, channel: DriverEnd) -> None:
        """Whatever was asked of the run since, by signal or by an edit of its manifest."""
        for request in (self._control.take(), self._edited()):
            if request is None:
                continue
            channel.request(request)
            if isinstance(request, ChangeRequest):
                self._record.take(events.CriteriaChanged(request.stopping))
                self._watch.wrote()
            else:
                self._ending = request

    def _edited(self) -> Request | None:
        try:
            return self._watch.look(self._record.job, time.monotonic())
        except (SpecError, UserError) as error:
            self._record.take(events.Warned(f"{error}; the run goes on as it was"))
            return None


def storage_uri(job: TrainJob, directory: RunDirectory) -> str:
    """Where this run's checkpoints go: its folder below the manifest's URI, or the run directory."""
    root = storage_root(job)
    if not root:
        return str(directory.path.absolute())
    return below(root, directory.storage_folder() or job.metadata.name)


def explained(failures: Sequence[events.Failed], deaths: Mapping[int, str]) -> list[events.Failed]:
    """The failures with what the launcher knows of `deaths`, by rank; a process that it ended itself is no cause."""

    def explain(failure: events.Failed) -> events.Failed:
        if failure.kind != Reason.WORKER_DIED or not deaths:
            return failure
        if (death := deaths.get(failure.rank or 0)) is None:
            return replace(failure, of_peers=True)
        return replace(failure, message=f"the process of rank {failure.rank} {death}")

    return [explain(failure) for failure in failures]


def _of_launcher(error: BaseException) -> events.Failed:
    code = Exit.GAVE_UP if isinstance(error, Unstartable) else Exit.FAILURE
    return events.Failed(None, type(error).__name__, str(error).strip().partition("\n")[0], "", code)


def _of_driver(error: Exception, directory: RunDirectory) -> events.Failed:
    """The driver's own end; what only we can use is kept beside the run."""
    if isinstance(error, UserError):
        return events.Failed(None, type(error).__name__, str(error), "", error.exit_code)
    log = directory.path / "driver.log"
    with suppress(OSError):
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    reason = str(error).strip().partition("\n")[0]
    text = f"the driver failed: {type(error).__name__}: {reason} (more in {log})"
    return events.Failed(None, Reason.DRIVER_FAILED, text, "", Exit.FAILURE)
