"""The driver of a TrainJob's pod 0: trains it, and says in its status how it goes."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from trainjobs.api.manifest import SpecError, parse
from trainjobs.api.pod_contract import RAY_PORT
from trainjobs.api.reading import read_status
from trainjobs.api.reasons import Reason
from trainjobs.coordination import Outcome, Vote
from trainjobs.driver import driver
from trainjobs.driver.ray_launcher import RayCluster
from trainjobs.exits import ConfigError, Exit
from trainjobs.kube.own_trainjob import OwnTrainJob
from trainjobs.kube.resources import TRAINJOBS
from trainjobs.pod import driver_process, processes, termination
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.log import PodLog
from trainjobs.pod.reporter import Reporter
from trainjobs.runs import events
from trainjobs.runs.codec import REQUESTS
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.recorder import RunEnd
from trainjobs.runs.requests import Control, asked
from trainjobs.runs.run_state import now


class PodDriver:
    """One driver's life.

    Args:
        crashed: the driver before this one ended without a word.
    """

    def __init__(self, identity: PodIdentity, own: OwnTrainJob, *, crashed: bool) -> None:
        document = own.read()
        self._identity = identity
        self._own = own
        self._crashed = crashed
        self._job = parse({**document, "status": None})
        self._control = Control()
        self._absent: list[int] = []
        before = read_status(document.get("status"), now())
        self._failed = before.failed_attempts
        self._reporter = Reporter(self._job, before, psutil.Process().create_time(), own.patch_status)

    def run(self) -> int:
        """Train; the exit code of this pod."""
        if self._crashed:
            self._failed = self._reporter.count_failure()
        limit = self._job.spec.backoff_limit
        if self._failed > limit:
            self._reporter.close()
            return driver_process.given_up(self._failed, limit, "attempts")
        processes.listen(self._hear)
        driver_process.follow(self._own, self._changes())
        with PodLog() as view:

            def sink(event: events.Event) -> None:
                view(event)
                self._reporter(event)

            result = self._train(sink)
        self._reporter.close()
        return self._leave(result)

    def _train(self, sink: Callable[[events.Event], None]) -> RunEnd:
        storage = self._identity.storage_uri
        if not storage and self._identity.nodes > 1:
            raise ConfigError(
                f"spec.checkpoint.storage: not set; the pods of {self._identity.nodes} nodes share no disk. Name a "
                "claimName that all of them can mount, or a uri"
            )
        directory = RunDirectory(Path(tempfile.gettempdir()) / "trainjobs" / self._identity.name)
        address = self._identity.own_address
        cluster = RayCluster(f"{address}:{RAY_PORT}", self._identity.nodes, address, lost=self._lost)
        with directory.hold():
            directory.write_job(self._job)
            directory.clear_result()
            return driver.train(
                *(self._job, directory, sink, self._control, self._identity.code_directory, cluster),
                failed_attempts=self._failed,
                storage=storage,
                began=self._began(),
            )

    def _began(self) -> float:
        """When this pod's agent began, which has started this process; or itself, where it follows one that crashed."""
        return psutil.Process(None if self._crashed else os.getppid()).create_time()

    def _leave(self, result: RunEnd) -> int:
        failure = result.document.get("failure")
        if failure is None:
            conditions = result.document.get("conditions") or [{"reason": "", "message": ""}]
            termination.write(conditions[-1]["reason"], conditions[-1]["message"])
            return result.exit_code
        message = failure["message"]
        if result.exit_code == Exit.USER_CODE:
            message = f"{failure['kind']} on rank {failure['rank']}: {message}"
        if failure["kind"] == Reason.DRIVER_FAILED:  # the agent starts another one
            termination.write(Reason.DRIVER_FAILED, message)
            return Exit.FAILURE
        if not result.exit_code.retryable:
            termination.write(Reason.USER_ERROR, message)
            return result.exit_code
        reason = (
            Reason.NO_PROGRESS if failure["kind"] == Reason.NO_PROGRESS else Reason.BACKOFF_LIMIT_EXCEEDED
        )
        termination.write(reason, f"{message} (backoffLimit {self._job.spec.backoff_limit} is used up)")
        return Exit.GAVE_UP

    def _lost(self) -> str:
        names = ", ".join(f"{self._identity.name}-{index}" for index in self._absent)
        return f"{'pods' if len(self._absent) > 1 else 'pod'} {names} went away" if names else ""

    def _hear(self, message: dict[str, Any]) -> None:
        """The agent says who is absent, or asks for an interruption."""
        if "absent" in message:
            self._absent = message["absent"]
        elif self._reporter.is_training:
            self._control.ask(REQUESTS.from_dict(message))
        else:  # nothing has been trained since the checkpoint
            os._exit(Exit.INTERRUPTED)

    def _changes(self) -> Callable[[dict[str, Any]], None]:
        """Takes what is asked of the TrainJob meanwhile."""
        job = self._job

        def seen(document: dict[str, Any]) -> None:
            nonlocal job
            try:
                new = parse({**document, "status": None})
            except SpecError as error:
                logging.warning("%s; the run goes on as it was", error)
                return
            match asked(job, new):
                case None | Vote(outcome=Outcome.INTERRUPTED):  # a suspension reaches the pods as SIGTERM
                    pass
                case request:
                    self._control.ask(request)
            job = new

        return seen


if __name__ == "__main__":
    driver_process.run(
        TRAINJOBS, lambda identity, own, crashed: PodDriver(identity, own, crashed=crashed).run()
    )
