"""The driver of a TrainSweep's pod 0: runs the sweep, whose slots are the pods, and writes its status."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from trainjobs.api.manifest import SpecError, parse_sweep
from trainjobs.api.pod_contract import RAY_PORT
from trainjobs.api.reading import read_sweep_status
from trainjobs.api.reasons import Reason, RunOutcome
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.sweep_status import TrainSweepStatus
from trainjobs.driver.ray_launcher import RayCluster
from trainjobs.exits import ConfigError, Exit
from trainjobs.kube.own_trainjob import OwnTrainJob
from trainjobs.kube.resources import TRAINSWEEPS
from trainjobs.pod import driver_process, processes, sweep_status, termination
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.status_writer import Document, StatusWriter
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.run_state import now
from trainjobs.sweeps.driver import SweepRun
from trainjobs.sweeps.events import SweepEvent
from trainjobs.sweeps.lines import trial_line
from trainjobs.sweeps.record import SweepDirectory, Table, TrialState, changed_since
from trainjobs.sweeps.space import problems
from trainjobs.views.writing import write_line


class PodSweep:
    """One driver's life.

    Args:
        crashed: the driver before this one ended without a word.
    """

    def __init__(self, identity: PodIdentity, own: OwnTrainJob, *, crashed: bool) -> None:
        document = own.read()
        self._identity = identity
        self._own = own
        self._sweep = _in_pods(parse_sweep({**document, "status": None}))
        if found := problems(self._sweep):
            raise SpecError(found)
        self._before = read_sweep_status(document.get("status"), now())
        self._failed = self._before.failed_attempts + crashed
        self._start_time = self._before.start_time
        self._began = psutil.Process().create_time()
        self._summary = ""
        self._table: Table | None = None
        self._run: SweepRun | None = None
        self._writer = StatusWriter(sweep_status.owned(self._before), self._status, own.patch_status)

    def run(self) -> int:
        """Sweep; the exit code of this pod."""
        limit = self._sweep.spec.template.spec.backoff_limit
        if self._failed > limit:
            self._writer.close()
            return driver_process.given_up(self._failed, limit, "drivers")
        directory = SweepDirectory(self._place())
        with directory.hold():
            pass
        never_started = self._before.start_time is None  # only then a sweep may change
        if never_started and directory.trials() and changed_since(directory.sweep(), self._sweep):
            RunDirectory(directory.path).move_aside()
        with directory.hold():
            directory.write_sweep(self._sweep)
            result = self._swept(directory)
        self._writer.close()
        return self._leave(result)

    def _swept(self, directory: SweepDirectory) -> dict[str, Any]:
        address = self._identity.own_address
        cluster = RayCluster(f"{address}:{RAY_PORT}", self._identity.nodes, address, lost=str)
        run = SweepRun(self._sweep, directory, self._identity.code_directory, self._tell, cluster)
        self._table = run.table
        self._run = run
        processes.listen(self._hear)
        self._start_time = self._start_time or now()
        if (stop := self._sweep.spec.stop) is not None:
            run.stop(stop.reason or "stop was asked for")
        driver_process.follow(self._own, self._seen)
        result = run.run()
        if not run.interrupted:
            self._summary = str(result["reason"])
        return result

    def _place(self) -> Path:
        """The sweep's directory, which all pods share."""
        uri = urlsplit(self._identity.storage_uri)
        if uri.path and uri.scheme in ("", "file"):
            return Path(uri.path)
        raise ConfigError(
            "spec.template.spec.checkpoint.storage: must be a claimName that all pods can mount, or a path: a sweep "
            f"keeps its trials in a directory; got {self._identity.storage or 'none'}"
        )

    def _tell(self, event: SweepEvent) -> None:
        if event.trial is None or self._table is None:
            write_line(event.message)
        elif event.trial.state is not TrialState.PENDING:
            write_line(trial_line(event.trial, self._table))
        self._writer.tell(urgent=event.trial is None or event.trial.state.ended)

    def _status(self) -> Document:
        used = self._before.accounting.gpu_seconds_used if self._before.accounting else 0.0
        common = {
            "start_time": self._start_time,
            "restarts": self._before.restarts + (self._before.start_time is not None),
            "failed_attempts": self._failed,
        }
        if (table := self._table) is None:
            return sweep_status.owned(self._before.model_copy(update=common))
        told = sweep_status.described(self._sweep, table.copy())
        saved = sweep_status.accounting(self._sweep, table.copy(), used, self._began)
        return sweep_status.owned(
            TrainSweepStatus(**common, **told, accounting=saved, summary=self._summary or None)
        )

    def _leave(self, result: dict[str, Any]) -> int:
        if result["state"] == RunOutcome.INTERRUPTED:
            return Exit.INTERRUPTED
        if result["state"] == RunOutcome.FAILED:
            termination.write(Reason.USER_ERROR, str(result["reason"]))
            return Exit.USER_CODE
        termination.write(Reason.FINISHED, str(result["reason"]))
        return Exit.DONE

    def _hear(self, message: dict[str, Any]) -> None:
        """The agent says that a pod is told to end: every trial halts, and the next driver goes on with them."""
        if "absent" in message:
            return
        if self._run is None or not self._run.training:
            os._exit(Exit.INTERRUPTED)
        self._run.interrupt(message["reason"])

    def _seen(self, document: dict[str, Any]) -> None:
        """The stop verb."""
        stop = document["spec"].get("stop")
        if stop is not None and self._run is not None:
            self._run.stop(str(stop.get("reason") or "stop was asked for"))


def _in_pods(sweep: TrainSweep) -> TrainSweep:
    """The sweep as its driver reads it: trials are kept in the sweep's own directory, which is on the storage."""
    template = sweep.spec.template
    checkpoint = template.spec.checkpoint.model_copy(update={"storage": None})
    spec = template.spec.model_copy(update={"checkpoint": checkpoint})
    template = template.model_copy(update={"spec": spec})
    return sweep.model_copy(update={"spec": sweep.spec.model_copy(update={"template": template})})


if __name__ == "__main__":
    driver_process.run(
        TRAINSWEEPS, lambda identity, own, crashed: PodSweep(identity, own, crashed=crashed).run()
    )
