"""`trainjobs sweep`: many trials of one template on this machine."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from trainjobs.api.manifest import Manifest
from trainjobs.api.sweep import TrainSweep
from trainjobs.cli.departure import leave_no_process
from trainjobs.cli.rendering.sweep_table import TrialLines, chosen_sweep_view, sweep_summary
from trainjobs.cli.rendering.terminal import Output, reading, say, show
from trainjobs.cli.signals import heard
from trainjobs.exits import CannotCreate, Exit, UsageError
from trainjobs.runs.directory import RunDirectory
from trainjobs.sweeps.events import SweepEvent
from trainjobs.sweeps.record import SweepDirectory, changed_since
from trainjobs.sweeps.space import checked
from trainjobs.views.writing import outlived, write_json

if TYPE_CHECKING:
    from trainjobs.sweeps.driver import SweepRun

_EXITS = {"Complete": Exit.DONE, "Interrupted": Exit.INTERRUPTED, "Failed": Exit.USER_CODE}


def sweep(
    file: Path,
    overrides: Sequence[str],
    *,
    resume: bool,
    fresh: bool,
    sweep_dir: Path | None,
    output: Output,
) -> int:
    """Sweep, show it, sum it up; return the exit code. Raises UserError or SpecError."""
    if resume and fresh:
        raise UsageError("--resume goes on and --fresh begins anew: choose one")
    with reading(file):
        job = checked(Manifest.read(file, overrides))
    directory = SweepDirectory(sweep_dir or Path("sweeps") / job.metadata.name)
    directory.check_ours()
    if fresh and directory.exists():
        with directory.hold():
            say(f"moved the earlier sweep to {RunDirectory(directory.path).move_aside()}")
    with directory.hold():
        _prepare(directory, job, resume=resume)
        document = _run(job, directory, file.resolve().parent, output)
    show_result(directory, document, output)
    return int(_EXITS[document["state"]])


def show_result(directory: SweepDirectory, document: dict[str, Any], output: Output) -> None:
    """The end, in lines or as JSON."""
    if output is Output.JSON:
        write_json({"event": "Result", **document})
        return
    show(["", *sweep_summary(directory, document)])


def _prepare(directory: SweepDirectory, job: TrainSweep, *, resume: bool) -> None:
    """Raises CannotCreate for a sweep that is there already and not to be resumed, or is another."""
    begun = directory.exists() and directory.trials()
    if begun and not resume:
        raise CannotCreate(
            f"{directory.path}: holds a sweep with {len(begun)} trials; --resume goes on with it, "
            "--fresh moves it aside and begins anew"
        )
    if begun and (changed := changed_since(directory.sweep(), job)):
        raise CannotCreate(
            f"{directory.path}: was begun with another spec.{', spec.'.join(changed)}; put it back to resume, "
            "or begin anew with --fresh"
        )
    directory.write_sweep(job)


def _run(job: TrainSweep, directory: SweepDirectory, code: Path, output: Output) -> dict[str, Any]:
    from trainjobs.sweeps.driver import SweepRun

    with chosen_sweep_view(job, output) as view:

        def tell(event: SweepEvent) -> None:
            with outlived():
                view(event)

        run = SweepRun(job, directory, code, tell)
        view.table = run.table
        with interruptible(run, view):
            return run.run()


@contextmanager
def interruptible(run: "SweepRun", view: TrialLines) -> Iterator[None]:
    """The first Ctrl-C halts every trial at a step, the second leaves at once; see `cli.signals`."""

    def handle(number: int, frame: FrameType | None) -> None:
        if run.interrupted and number == signal.SIGHUP:
            return
        if run.interrupted or not run.training:
            leave_no_process(Exit.KILLED if run.interrupted else Exit.INTERRUPTED)
        run.interrupt(f"{signal.Signals(number).name} received")
        with outlived(), suppress(RuntimeError):  # it comes amid another line
            view.note(
                "halting every trial at one step with a checkpoint; --resume goes on; Ctrl-C again leaves at once"
            )

    before = {number: signal.signal(number, handle) for number in heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
