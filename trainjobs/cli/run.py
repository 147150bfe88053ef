"""`trainjobs run`: train on this machine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.api.manifest import Manifest, SpecError
from trainjobs.cli.departure import Departure
from trainjobs.cli.rendering.terminal import Output, console, say, show
from trainjobs.cli.signals import Interruption
from trainjobs.exits import UserError, reading
from trainjobs.local import running
from trainjobs.local.launching import Launch
from trainjobs.local.run_report import RunReport, read
from trainjobs.local.running import Beginning, EndedRun, Start
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Event
from trainjobs.views.jsonlines import JsonLines
from trainjobs.views.plain import Beside, Plain
from trainjobs.views.view import View
from trainjobs.views.writing import write_json

if TYPE_CHECKING:
    from trainjobs.api import TrainJob


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
    start = Start(file.resolve().parent, resume, fresh, run_dir)
    with reading(file):
        manifest = Manifest.read(file, overrides)
    ended = running.run(manifest, start, launch, say, partial(shown, output))
    options = [*launch.options, *(word for override in overrides for word in ("--set", override))]
    return told(ended, file, options, output)


@contextmanager
def shown(output: Output, beginning: Beginning) -> Iterator[Callable[[Event], None]]:
    """Show the events of a run, with the signals handled."""
    name = beginning.job.metadata.name
    with chosen_view(name, output, shared=beginning.inline) as view:
        leaving = Departure(name, beginning.directory)
        with Interruption(beginning.control, view, leaving, resumable=beginning.resumable) as interruption:

            def follow(event: Event) -> None:
                interruption.follow(event)
                view(event)

            yield follow


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


def told(ended: EndedRun, file: Path, options: Sequence[str], output: Output) -> int:
    """Sum the run up, if what is kept of it can be read; return its exit code. `options` are those that belong to the
    run, for whoever begins it again."""
    from trainjobs.cli.rendering.summary import document, next_commands, next_line, summary

    code = int(ended.exit_code)
    try:
        report = _report(ended.directory, ended.job)
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
