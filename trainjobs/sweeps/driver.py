"""A sweep from its first trial to its result: Ray Tune starts trials in slots, and this follows them."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from trainjobs.api.sweep import TrainSweep, TrainSweepSpec
from trainjobs.driver.launcher import StartFailed
from trainjobs.driver.ray_launcher import RayCluster, RayWorkers
from trainjobs.exits import Exit, StorageError, UserError, user_error
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.requests import interrupt_request, stop_request
from trainjobs.stopping.across import Curve, PruningPanel
from trainjobs.stopping.across.curve import shown
from trainjobs.sweeps.events import SweepEvent, Tell
from trainjobs.sweeps.record import SweepDirectory, Table, Trial, TrialState
from trainjobs.sweeps.searching import Source, SweepSearch, source_of

SLOT_RESTARTS = 3
"""How often a trial goes on in a new slot when its slot's own process has died."""
SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # entrypoints and data are found from where the user is
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # histories are in run directories
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial without the objective fails, not the sweep
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the loss of a slot is told in our own words
    "RAY_AIR_NEW_OUTPUT": "0",  # prints the loss of a slot however little it is told to print
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C halts trials at a step
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "3600",
}
"""Environment variables that Ray Tune reads; what the user has set stays."""


class RayFailed(UserError):
    """Ray has not come up on this machine; the sweep is as it was, and can be resumed."""

    exit_code = Exit.FAILURE


class SweepRun:
    """One process's part of a sweep, in a directory that it holds.

    Args:
        code: directory searched for the entrypoint's module first.
        tell: is told every change of `table`, in the calling thread.
        cluster: a Ray cluster whose nodes share the directory; a slot has as many of them as the template says.
            Default: this machine, whatever the template says.
    """

    def __init__(
        self,
        sweep: TrainSweep,
        directory: SweepDirectory,
        code: Path,
        tell: Tell,
        cluster: RayCluster | None = None,
    ) -> None:
        self.sweep, self.directory, self.code, self.tell = sweep, directory, code, tell
        self._cluster = cluster
        self.table = directory.table(sweep.spec.objective)
        self.over = ""
        """Why no trial begins any more."""
        self.interrupted = False
        self.training = False
        self._curves: dict[str, Curve] = {}
        self._unnamed: dict[str, str] = {}
        self._unkept = ""
        self._warnings: set[str] = set()
        self._source: Source = source_of(sweep.spec)

    def interrupt(self, reason: str) -> None:
        """Have all trials halt; a resume goes on with them. Never blocks long: signal handlers may call it."""
        self.interrupted = True
        self.over = self.over or reason
        self.directory.ask(interrupt_request(reason))

    def stop(self, reason: str) -> None:
        """Have all trials stop, and begin no other; another thread may call it, also before `run`."""
        self.over = self.over or reason
        self.directory.ask(stop_request(self.over))

    def run(self) -> dict[str, Any]:
        """Sweep, and write the result. Raises StorageError when nothing can be kept any more."""
        self._curves = dict(self._known())
        self.directory.clear_requests()
        if self.over:
            self.directory.ask(stop_request(self.over))
        for trial in self.table.trials.values():
            if trial.state.ended:
                self._source.ended(trial)
        self._check_limits()
        self._judge_again()
        unfinished = [trial for trial in self.table.trials.values() if not trial.state.ended]
        left = len(unfinished) + self.sweep.spec.trials - len(self.table.trials)
        if left > 0 and not self.over:
            self._tune(unfinished, left)
        if self._unkept:
            raise StorageError(f"{self._unkept}; --resume goes on when that is mended")
        document = self._document()
        self.directory.write_result(document)
        return document

    def _known(self) -> Iterator[tuple[str, Curve]]:
        for name in self.table.trials:
            history, wrong = self.directory.history(name)
            if wrong:
                self.tell(SweepEvent(None, f"trial {name} is compared with no other: {wrong}"))
            yield name, Curve.of(history, self.sweep.spec.objective)

    def _tune(self, unfinished: list[Trial], left: int) -> None:
        spec = self.sweep.spec
        slots = self._slots()
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        with ExitStack() as stack:
            _up(stack, self._cluster or RayWorkers(spec.template.spec.trainer.num_workers))
            self.training = True
            search = SweepSearch(
                spec, self._source, unfinished, len(self.table.trials), self._begin, lambda: bool(self.over)
            )
            _fit(self, search, slots, left)

    @property
    def nodes_of_slot(self) -> int:
        """Nodes that a trial's ranks lie on."""
        return 1 if self._cluster is None else self.sweep.spec.template.spec.trainer.num_nodes

    def _slots(self) -> int:
        if self._cluster is not None:
            return self._cluster.nodes // self.nodes_of_slot
        slots, why = slots_of(self.sweep.spec, os.cpu_count() or 1)
        if why:
            self.tell(SweepEvent(None, why))
        return slots

    def _judge_again(self) -> None:
        """A trial that would have been pruned, had the sweep not ended just then, is pruned now."""
        from trainjobs.sweeps.scheduling import request_of

        panel = PruningPanel.of(self.sweep.spec.pruning, self.sweep.spec.objective)
        for name, trial in self.table.trials.items():
            if not trial.state.ended and self._curves.get(name, Curve()).epochs:
                ruling = panel.judge(name, self._curves)
                if ruling.prune is not None:
                    self.directory.ask_trial(name, request_of(ruling))

    @property
    def curves(self) -> dict[str, Curve]:
        """Of every trial, as far as it has reported."""
        return self._curves

    def _begin(self, trial: Trial) -> None:
        self.directory.begun(trial)
        self.table.trials[trial.name] = trial

    # --- what Ray Tune tells ------------------------------------------------------------------------------------

    def started(self, name: str) -> None:
        """A slot has it."""
        self.tell(SweepEvent(self.table.update(name, state=TrialState.RUNNING)))

    def reported(self, result: dict[str, Any]) -> None:
        """One report, or the end."""
        name = str(result["trial"])
        if result.get("done"):
            self._ended(name, result)
            return
        from trainjobs.sweeps.scheduling import observation

        seen = observation(result)
        objective = self.sweep.spec.objective
        if seen.whole and objective.metric not in result:
            self._without_objective(name, result)
        curve = self._curves[name] = self._curves.get(name, Curve()).after((seen,), objective)
        value = shown(curve.standings[-1], objective.mode) if curve.epochs else float("nan")
        row = self.table.update(name, epoch=seen.epochs, objective=value, seconds=seen.seconds)
        self.tell(SweepEvent(row))

    def slot_lost(self, name: str) -> None:
        """Its slot's process has died; the trial goes on in a new one, from its checkpoint."""
        self.tell(SweepEvent(None, f"trial {name}: its slot's process has died; it goes on in a new one"))

    def lost(self, name: str) -> None:
        """Its slot has died once too often."""
        self._close(
            name, state=TrialState.FAILED, reason=f"its slot's process died {SLOT_RESTARTS + 1} times"
        )

    def _without_objective(self, name: str, result: dict[str, Any]) -> None:
        others = [m for m, value in result.items() if isinstance(value, float) and m not in _TUNES_OWN]
        metric = self.sweep.spec.objective.metric
        self._unnamed[name] = f"{metric} was not reported; reported: {', '.join(others) or 'none'}"
        self.directory.ask_trial(name, stop_request(self._unnamed[name]))

    def _ended(self, name: str, result: dict[str, Any]) -> None:
        self._warn(name, result.get("warnings", ()))
        state, reason = TrialState(result["outcome"]), str(result["reason"])
        if state is TrialState.FAILED and result["exit_code"] == Exit.IO:
            state = TrialState.INTERRUPTED
            self._halt_unkept(f"trial {name}: {reason}")
        if state is TrialState.INTERRUPTED:
            self.tell(SweepEvent(self.table.update(name, state=state, reason=reason)))
            return
        if why := self._unnamed.get(name) or lacking(
            state, bool(self._curves.get(name, Curve()).epochs), self.sweep.spec.objective.metric
        ):
            state, reason = TrialState.FAILED, why
        self._close(name, state=state, reason=reason, saved_epochs=int(result["saved_epochs"]))

    def _warn(self, name: str, warnings: Iterable[str]) -> None:
        """What trials have in common is told of the first."""
        for warning in warnings:
            if warning not in self._warnings:
                self._warnings.add(warning)
                self.tell(SweepEvent(None, f"trial {name}: {warning}"))

    def _halt_unkept(self, reason: str) -> None:
        """A full disk is no trial's fault: all halt, and a resume goes on with them."""
        self._unkept = self._unkept or reason
        with suppress(UserError):  # others find out by themselves
            self.interrupt(reason)

    def _close(self, name: str, **changes: Any) -> None:
        trial = self.table.update(name, **changes)
        self.directory.ended(trial)
        self._source.ended(trial)
        self._tidy()
        self.tell(SweepEvent(trial))
        self._check_limits()

    def _tidy(self) -> None:
        """Remove the weights of trials that nobody will ask for."""
        keep, best = self.sweep.spec.keep, self.table.best
        for trial in self.table.trials.values() if keep != "all" else ():
            if trial.state.ended and not (keep == "best" and trial is best):
                run = self.directory.run(trial.name)
                shutil.rmtree(run.checkpoints, ignore_errors=True)
                with suppress(OSError):  # there is none, or no directory any more
                    run.model.unlink()

    def _check_limits(self) -> None:
        if not self.over and (why := reached(self.sweep.spec, self.table)):
            self.over = why
            self.directory.ask(stop_request(why))
            self.tell(SweepEvent(None, why))

    def _document(self) -> dict[str, Any]:
        best, spec = self.table.best, self.sweep.spec
        failed = self.table.counts.get(TrialState.FAILED, 0) > spec.failures_borne
        state = "Interrupted" if self.interrupted else "Failed" if failed else "Complete"
        return {
            "name": self.sweep.metadata.name,
            "state": state,
            "reason": self.over or f"all {len(self.table.trials)} trials have ended",
            "trials": self.table.counts,
            "best": None
            if best is None
            else {"trial": best.name, "objective": best.objective, "parameters": dict(best.parameters)},
            "objective": spec.objective.model_dump(mode="json"),
            "secondsUsed": round(sum(trial.seconds for trial in self.table.trials.values()), 3),
            "epochsSaved": sum(trial.saved_epochs for trial in self.table.trials.values()),
        }


def slots_of(spec: TrainSweepSpec, cpus: int) -> tuple[int, str]:
    """Trials at the same time, and why not as many as asked for."""
    workers = spec.template.spec.trainer.num_workers
    fit = max(1, cpus // workers)
    if spec.parallel_trials is None or spec.parallel_trials <= fit:
        return spec.parallel_trials or fit, ""
    need = f"parallelTrials {spec.parallel_trials} needs {spec.parallel_trials * workers} CPUs"
    return fit, f"{need} and the machine has {cpus}: {fit} at a time, the others wait"


def lacking(state: TrialState, has_objective: bool, metric: str) -> str:
    """Why a trial that has ended is a failure all the same; empty: it is none. One that was asked to stop may not
    have come to a report."""
    if has_objective or state in (TrialState.FAILED, TrialState.STOP_REQUESTED):
        return ""
    return f"it ended without a report of {metric}"


def reached(spec: TrainSweepSpec, table: Table) -> str:
    """Why the sweep is over before its last trial; empty if it is not."""
    failed = table.counts.get(TrialState.FAILED, 0)
    if failed > spec.failures_borne:
        return f"{failed} trials have failed, more than maxFailedTrials {spec.failures_borne}"
    best = table.best
    if best is not None and spec.reaches_goal(best.objective):
        return f"trial {best.name} has reached the goal: {spec.objective.metric} {best.objective:g}, goal {spec.goal:g}"
    used = sum(trial.seconds for trial in table.trials.values())
    budget, gpus = spec.budget, spec.template.spec.trainer.num_gpus
    if budget is not None and budget.seconds is not None and used >= budget.seconds:
        return f"trials have trained {used:.0f} s of budget.seconds {budget.seconds:g}"
    if budget is not None and budget.gpu_seconds is not None and used * gpus >= budget.gpu_seconds:
        return f"trials have used {used * gpus:.0f} GPU seconds of budget.gpuSeconds {budget.gpu_seconds:g}"
    return ""


def _up(stack: ExitStack, workers: RayWorkers | RayCluster) -> None:
    """A Ray of this machine; on a busy one the second try may succeed. Raises RayFailed."""
    try:
        stack.enter_context(workers)
    except StartFailed:
        try:
            stack.enter_context(workers)
        except StartFailed as error:
            raise RayFailed(str(error).replace(", or take --launcher local", "")) from error


_TUNES_OWN = frozenset({"time_this_iter_s", "time_total_s", "time_since_restore", "seconds"})


def _fit(run: SweepRun, search: SweepSearch, slots: int, left: int) -> None:
    """Ray Tune's own loop."""
    import ray
    from ray import tune

    from trainjobs.sweeps.scheduling import HaltFirst, PruningScheduler
    from trainjobs.sweeps.slot import Slot

    class Follow(tune.Callback):  # type: ignore[misc]  # Ray has no types
        """Passes on what Ray Tune tells."""

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            run.started(trial.config["trial"])

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            run.reported(result)

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            run.slot_lost(trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            run.lost(trial.config["trial"])

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # whatever matters is told in our own words
    spec = run.sweep.spec
    ours = PruningScheduler(spec.objective, spec.pruning, run.curves)
    slot = tune.with_parameters(Slot, sweep_dir=str(run.directory.path.absolute()), code=str(run.code))
    gpus = ray.cluster_resources().get("GPU", 0) >= spec.template.spec.trainer.num_gpus
    with _scratch(run.directory.path / "ray") as files, _storage_told(run.directory.path):
        tune.run(
            tune.with_resources(slot, Slot.resources(run.sweep, run.nodes_of_slot, gpus)),
            name="tune",
            storage_path=str(files.absolute()),
            search_alg=search,
            scheduler=HaltFirst(ours, run.directory),
            num_samples=left,
            max_concurrent_trials=slots,
            reuse_actors=True,
            max_failures=SLOT_RESTARTS,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            trial_dirname_creator=lambda trial: f"{trial.config['trial']}-{trial.trial_id}",
            callbacks=[Follow()],
            raise_on_failed_trial=False,
            verbose=0,
        )


@contextmanager
def _storage_told(path: Path) -> Iterator[None]:
    """Ray Tune writes, too, and fails as the operating system does."""
    try:
        yield
    except OSError as error:
        raise user_error(error, f"writing below {path}") from error


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Ray Tune's files, of which nothing is needed later."""
    shutil.rmtree(path, ignore_errors=True)
    RunDirectory(path).create()
    yield path
    shutil.rmtree(path, ignore_errors=True)
