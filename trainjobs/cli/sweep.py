"""`trainjobs sweep`: many trials of one template on this machine."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from trainjobs.api.manifest import Manifest
from trainjobs.api.sweep import TrainSweep
from trainjobs.cli.departure import leave_no_process
from trainjobs.cli.rendering.sweep_table import chosen_sweep_view, sweep_summary
from trainjobs.cli.rendering.terminal import Output, say, show
from trainjobs.exits import Exit, reading
from trainjobs.local import sweeping
from trainjobs.local.running import Start
from trainjobs.local.signals import NAMES, give_back, take_over
from trainjobs.sweeps.events import Tell
from trainjobs.sweeps.lines import TrialLines
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.views.writing import outlived, write_json

if TYPE_CHECKING:
    from trainjobs.sweeps.driver import SweepRun


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
    start = Start(file.resolve().parent, resume, fresh, sweep_dir)
    with reading(file):
        manifest = Manifest.read(file, overrides)
    ended = sweeping.sweep(manifest, start, say, partial(_shown, output))
    show_result(ended.directory, ended.document, output)
    return int(ended.exit_code)


def show_result(directory: SweepDirectory, document: dict[str, Any], output: Output) -> None:
    """The end, in lines or as JSON."""
    if output is Output.JSON:
        write_json({"event": "Result", **document})
        return
    show(["", *sweep_summary(directory, document)])


def _shown(output: Output, job: TrainSweep, made: "Callable[[Tell], SweepRun]") -> dict[str, Any]:
    with chosen_sweep_view(job, output) as view:
        run = made(view)
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
            view.abandon()
            with suppress(OSError):  # nobody is there to be told
                os.write(2, f"{_last_words(run, NAMES[signal.Signals(number)])}\n".encode())
            leave_no_process(Exit.KILLED if run.interrupted else Exit.INTERRUPTED)
        run.interrupt(f"{signal.Signals(number).name} received")
        with outlived(), suppress(RuntimeError):  # it comes amid another line
            view.note(
                "halting every trial at one step with a checkpoint; --resume goes on; Ctrl-C again leaves at once"
            )

    before = take_over(handle)
    try:
        yield
    finally:
        give_back(before)


def _last_words(run: "SweepRun", name: str) -> str:
    if run.interrupted:
        return "left at once; --resume goes on from the last checkpoints"
    if run.table.trials:
        return f"{name}: left before a trial went on; --resume goes on"
    return f"{name}: left before any trial had begun"
