"""`trainjobs run`: train on this machine."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.api.manifest import Manifest, Problem, SpecError
from trainjobs.cli import entrypoint
from trainjobs.cli.beginning import move_aside, prepare, why_done
from trainjobs.cli.departure import Departure
from trainjobs.cli.launcher import Launch
from trainjobs.cli.rendering.terminal import Output, console, reading, say, show
from trainjobs.cli.run_report import RunReport, read
from trainjobs.cli.signals import Interruption
from trainjobs.driver.requests import Control
from trainjobs.exits import Exit, UsageError, UserError
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Event
from trainjobs.views.jsonlines import JsonLines
from trainjobs.views.plain import Beside, Plain
from trainjobs.views.view import View
from trainjobs.views.writing import outlived, write_json

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.driver.launcher import Workers


def run(
    file: Path,
    overrides: Sequence[str],
    launch: Launch,
    *,
    resume: bool,
    fresh: bool,
    run_dir: Path | None,
    output: Output,
) -> int:
    """Train, show it, sum it up; return the exit code. `launch` makes what starts the workers.

    Raises UserError or SpecError.
    """
    if resume and fresh:
        raise UsageError("--resume goes on and --fresh begins anew: choose one")
    with reading(file):
        manifest = Manifest.read(file, overrides)
    job = manifest.job()
    if found := entrypoint.problem(manifest, job):
        raise SpecError([found])
    if launch.only_one and (several := _several(manifest, job)):
        raise SpecError(several)
    options = [*launch.options, *(word for override in overrides for word in ("--set", override))]
    directory = RunDirectory(_expanded(run_dir or Path("runs") / job.metadata.name))
    directory.check_ours()
    if fresh:
        move_aside(directory)
    elif directory.exists() and directory.finished() and (why := why_done(directory, job, resume=resume)):
        say(f"{directory.path}: {why}")
        return told(directory, job, file, options, output, Exit.DONE)
    with directory.hold():
        resumable = prepare(directory, job, resume=resume, fresh=fresh)
        workers = launch.workers(job.spec.trainer.num_workers)
        code = train(job, directory, file.resolve().parent, workers, output, resumable=resumable)
    return told(directory, job, file, options, output, code)


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"--run-dir {path}: there is no such home directory") from error


def _several(manifest: Manifest, job: "TrainJob") -> list[Problem]:
    """What makes `job` more than one worker."""
    numbers = {"numNodes": job.spec.trainer.num_nodes, "numProcPerNode": job.spec.trainer.num_proc_per_node}
    return [
        manifest.problem(
            ("spec", "trainer", name),
            number,
            f"--launcher inline trains one worker; add --set spec.trainer.{name}=1, or choose --launcher local",
        )
        for name, number in numbers.items()
        if number > 1
    ]


def train(
    job: "TrainJob",
    directory: RunDirectory,
    code: Path,
    workers: "Workers",
    output: Output,
    *,
    resumable: bool,
) -> int:
    """Run the driver under a view, with the signals handled; `code` is where the training code lies."""
    from trainjobs.driver.driver import train as drive
    from trainjobs.driver.inline_launcher import InlineWorkers

    control, inline = Control(), workers if isinstance(workers, InlineWorkers) else None
    with ExitStack() as stack:
        view = stack.enter_context(chosen_view(job.metadata.name, output, shared=inline is not None))
        leaving = Departure(job.metadata.name, directory)
        interruption = stack.enter_context(Interruption(control, view, leaving, resumable=resumable))

        def sink(event: Event) -> None:
            interruption.follow(event)
            with outlived():
                view(event)

        run = partial(drive, job, directory, sink, control, code, workers)
        return int((inline.beside(run) if inline else run()).exit_code)


def chosen_view(name: str, output: Output, *, shared: bool = False) -> View:
    """JSON lines, the live display on a terminal, or plain lines; the latter where the terminal is `shared` with the
    training function."""
    if output is Output.JSON:
        return JsonLines()
    if shared:
        return Beside()
    screen = console()
    if not screen.is_terminal or screen.is_dumb_terminal:
        return Plain()
    from trainjobs.cli.rendering.display import Display

    return Display(screen, name)


def told(
    directory: RunDirectory, job: "TrainJob", file: Path, options: Sequence[str], output: Output, code: int
) -> int:
    """Sum the run up, if what is kept of it can be read; return `code`. `options` are those that belong to the run, for
    whoever begins it again."""
    from trainjobs.cli.rendering.summary import document, next_commands, next_line, summary

    try:
        report = _report(directory, job)
    except UserError as error:
        say(f"{error}; the run is not summed up")
        if output is Output.JSON:
            write_json({"event": "Result", "exit_code": code})
        return code
    if output is Output.JSON:
        write_json({"event": "Result", "exit_code": code, **document(report)})
        return code
    show(["", *summary(report), "", next_line(next_commands(report, str(file), options))])
    return code


def _report(directory: RunDirectory, job: "TrainJob") -> RunReport:
    """An edit of the run's own manifest that nobody can read changes nothing of how the run has ended."""
    try:
        return read(directory)
    except (UserError, SpecError) as error:
        report = read(directory, job)
        say(f"{error}; the run is summed up by the manifest that it was begun with")
        return report
