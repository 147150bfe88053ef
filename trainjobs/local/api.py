"""`trainjobs.run` and `trainjobs.sweep`: training on this machine from a script or a notebook.

result = trainjobs.run("trainjob.yaml", overrides={"spec.trainer.maxEpochs": 20})
result.outcome, result.best.value, result.decision.reason
result.run.to_pandas().plot(x="epoch", y="val_loss")
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from trainjobs.api import TrainJob
from trainjobs.api.manifest import Manifest
from trainjobs.api.manifest.document import Document
from trainjobs.api.reasons import RunOutcome
from trainjobs.api.sweep import TrainSweep
from trainjobs.coordination import Decision
from trainjobs.exits import Exit, RunFailed, UsageError, reading
from trainjobs.local import running, sweeping
from trainjobs.local.keywords import told_with_keywords, with_keywords
from trainjobs.local.launching import Launcher, launching
from trainjobs.local.run_report import read
from trainjobs.local.running import Beginning, Start
from trainjobs.local.signals import Halting
from trainjobs.local.training_function import TrainingFunction, named
from trainjobs.recorded import RecordedRun, load_run
from trainjobs.runs.events import Event
from trainjobs.runtime.user_code.entrypoint import end_import
from trainjobs.stopping import Best, Saving
from trainjobs.sweeps.events import SweepEvent, Tell
from trainjobs.sweeps.lines import TrialLines
from trainjobs.sweeps.record import SweepDirectory, Trial
from trainjobs.views.plain import Beside
from trainjobs.views.writing import write_line

if TYPE_CHECKING:
    from trainjobs.sweeps.driver import SweepRun

Given: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""A manifest: a YAML file, or what one holds as plain values."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run has ended, or has been halted."""

    path: Path
    """The run directory."""
    outcome: RunOutcome
    """`EarlyStopped`, `StopRequested`, `Finished`, `Interrupted` or `Failed`; equal to these words."""
    exit_code: Exit
    """What `trainjobs run` would have ended with."""
    decision: Decision | None
    """What ended or halted it: criterion, reason (a sentence with the numbers), metric, value, step; None where it has
    trained to its end or failed."""
    best: Best | None
    """The best report by `stopping.monitor`; None without a monitor or before a value."""
    saved: Saving | None
    """What was not trained, against the manifest's own length; None where it was all trained, or is to be resumed."""

    @property
    def run(self) -> RecordedRun:
        """All that is kept of it: reports, decisions, checkpoints, weights."""
        return load_run(self.path)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How a sweep has ended, or has been halted."""

    path: Path
    """The sweep's directory."""
    outcome: str
    """`Complete`, `Interrupted` or `Failed`."""
    reason: str
    """Why it is over, in a sentence."""
    exit_code: Exit
    """What `trainjobs sweep` would have ended with."""
    trials: tuple[Trial, ...]
    """Every trial in the order in which they began: parameters, state, epoch, objective, reason."""
    best: Trial | None
    """The one with the best objective."""

    def run(self, trial: Trial) -> RecordedRun:
        """All that is kept of a trial."""
        return load_run(SweepDirectory(self.path).run(trial.name).path)


@told_with_keywords()
def run(
    manifest: Given | TrainJob,
    function: TrainingFunction | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    fresh: bool = False,
    run_dir: str | os.PathLike[str] | None = None,
    launcher: str | None = None,
    progress: bool = True,
) -> Result:
    """Train on this machine until done or stopped, as `trainjobs run` does.

    The first Ctrl-C (in a notebook: Interrupt) halts all workers at one step, with a checkpoint: the result's outcome
    is then `Interrupted`, and `resume=True` goes on. The second raises KeyboardInterrupt. SIGTERM and SIGHUP halt
    it, too; then the process gets that signal again. Signals are handled in the main thread only.

    Args:
        manifest: a YAML file, its contents as plain values, or a TrainJob.
        function: the training function, in place of the manifest's `entrypoint`; defined at the top of a module or of
            the script that calls this, of which the workers import what stands above this call.
        overrides: fields by their paths, such as {"spec.trainer.maxEpochs": 5}; None removes a field.
        resume: go on at the step after the last checkpoint.
        fresh: begin anew; an earlier run is moved aside.
        run_dir: where the run is kept. Default: runs/<name> in the current directory.
        launcher: "local", "ray" or "inline" (one worker in this process). Default: as of `trainjobs run`.
        progress: print a line for each report and decision.

    Returns:
        How it has ended; of a run that had finished before, and is not to be trained on, how it had.

    Raises:
        RunFailed: the training failed; `error.result` says how far it came.
        SpecError: the manifest is wrong; every problem with its place.
        UserError: one of `trainjobs.exits`, such as CannotCreate where an unfinished run is in the way.
    """
    _check_not_imported("run")
    with launching(_launcher(launcher)) as launch:
        document, code = _read(manifest, function, overrides)
        start = Start(code, resume, fresh, None if run_dir is None else Path(run_dir))
        ended = running.run(document, start, launch, _say(progress), partial(_following, progress))
    report = read(ended.directory)
    result = Result(
        path=ended.directory.path,
        outcome=RunOutcome(report.state),
        exit_code=ended.exit_code,
        decision=report.told.decision,
        best=report.best,
        saved=report.saved,
    )
    if (failed := report.told.failure) is not None and result.outcome is RunOutcome.FAILED:
        raise RunFailed(f"{failed.kind}: {failed.message}", result.exit_code, result)
    return result


@told_with_keywords()
def sweep(
    manifest: Given | TrainSweep,
    function: TrainingFunction | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    fresh: bool = False,
    sweep_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train many variants of a job on this machine, as `trainjobs sweep` does. Arguments and signals are as of `run`.

    Args:
        sweep_dir: where the sweep is kept. Default: sweeps/<name> in the current directory.

    Raises:
        RunFailed: more trials have failed than `maxFailedTrials`; `error.result` has them.
        SpecError, UserError: as of `run`.
    """
    _check_not_imported("sweep")
    document, code = _read(manifest, function, overrides, "spec.template.")
    start = Start(code, resume, fresh, None if sweep_dir is None else Path(sweep_dir))
    ended = sweeping.sweep(document, start, _say(progress), partial(_drive, progress))
    table = ended.directory.table(ended.directory.sweep().spec.objective)
    result = SweepResult(
        path=ended.directory.path,
        outcome=ended.document["state"],
        reason=ended.document["reason"],
        exit_code=ended.exit_code,
        trials=tuple(table.trials.values()),
        best=table.best,
    )
    if result.exit_code is Exit.USER_CODE:
        raise RunFailed(result.reason, result.exit_code, result)
    return result


def _check_not_imported(name: str) -> None:
    """A script that calls this is imported by other processes, too: by workers, for its training function, which is
    all that they want of it; and by those that `multiprocessing` starts, which must not begin everything again."""
    end_import()
    starting = getattr(multiprocessing.current_process(), "_inheriting", False)
    if starting or (multiprocessing.parent_process() is not None and _in_import()):
        raise UsageError(
            f"trainjobs.{name} is called while a process of multiprocessing imports this script; "
            'put the call below if __name__ == "__main__":'
        )


def _in_import() -> bool:
    frame = sys._getframe()
    while (above := frame.f_back) is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = above
    return False


def _launcher(name: str | None) -> Launcher | None:
    if name is not None and name not in list(Launcher):
        raise UsageError(f"launcher {name!r}: must be one of {', '.join(Launcher)}")
    return None if name is None else Launcher(name)


def _read(
    manifest: Given | TrainJob | TrainSweep,
    function: TrainingFunction | None,
    overrides: Mapping[str, Any] | None,
    template: str = "",
) -> tuple[Manifest, Path]:
    """The manifest, and the directory of its code: the function's, the file's, or else the current one."""
    settings = [f"{path}={json.dumps(value)}" for path, value in (overrides or {}).items()]
    code = Path.cwd()
    if isinstance(manifest, str | os.PathLike):
        code = Path(manifest).resolve().parent
    if function is not None:
        entrypoint, code = named(function)
        settings.append(f"{template}spec.trainer.entrypoint={entrypoint}")
    if isinstance(manifest, str | os.PathLike):
        with reading(Path(manifest)):
            return Manifest.read(Path(manifest), settings), code
    if isinstance(manifest, TrainJob | TrainSweep):
        manifest = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Manifest("the manifest", (Document(dict(manifest)),), tuple(settings)), code


def _say(progress: bool) -> Callable[[str], None]:
    return (lambda sentence: write_line(with_keywords(sentence))) if progress else lambda _: None


@contextmanager
def _following(progress: bool, beginning: Beginning) -> Iterator[Callable[[Event], None]]:
    with Beside() as view, Halting(beginning.control.interrupt):
        yield view if progress else lambda _: None


def _drive(progress: bool, job: TrainSweep, made: Callable[[Tell], SweepRun]) -> dict[str, Any]:
    view = TrialLines(job)

    def tell(event: SweepEvent) -> None:
        if progress:
            view(event)

    run = made(tell)
    view.table = run.table
    with Halting(run.interrupt):
        return run.run()
