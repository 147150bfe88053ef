"""`trainjobs run`: train on this machine."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.cli.jsonlines import JsonLines
from trainjobs.cli.plain import Plain
from trainjobs.cli.signals import Interruption
from trainjobs.cli.story import read
from trainjobs.cli.terminal import Output, console, reading, say, show, write_json
from trainjobs.cli.view import View
from trainjobs.runtime.control import Control
from trainjobs.runtime.directory import RunDirectory
from trainjobs.runtime.exits import CannotCreate, ConfigError, Exit, UsageError
from trainjobs.spec import immutable_changes, load

if TYPE_CHECKING:
    from trainjobs.spec import TrainJob


def run(
    file: Path, overrides: Sequence[str], *, resume: bool, fresh: bool, run_dir: Path | None, output: Output
) -> int:
    """Train, show it, sum it up; return the exit code. Raises UserError or SpecError."""
    if resume and fresh:
        raise UsageError("--resume goes on and --fresh begins anew: choose one")
    with reading(file):
        job = load(file, overrides)
    place = RunDirectory(run_dir or Path("runs") / job.metadata.name)
    if place.exists() and place.finished() and not fresh:
        say(f"{place.path}: already finished, not trained again; --fresh begins anew")
        return told(place, file, overrides, output, Exit.DONE)
    if fresh:
        move_aside(place)
    with place.hold():
        prepare(place, job, resume=resume)
        code = train(job, place, file.resolve().parent, output)
    return told(place, file, overrides, output, code)


def move_aside(place: RunDirectory) -> None:
    """Make room for a fresh run; nothing is deleted. Raises CannotCreate while a process trains there."""
    if place.path.is_dir() and any(place.path.iterdir()):
        with place.hold():
            aside = place.move_aside()
        say(f"moved the earlier run to {aside}")


def prepare(place: RunDirectory, job: "TrainJob", *, resume: bool) -> None:
    """Put the manifest in the held directory. Raises CannotCreate or ConfigError for another run's."""
    if place.exists():
        if not resume:
            raise CannotCreate(
                f"{place.path}: holds an unfinished run; --resume goes on with it, "
                "--fresh moves it aside and begins anew"
            )
        changed = immutable_changes(place.job().spec, job.spec)
        if changed:
            raise ConfigError(
                f"{place.path}: was begun with another {', '.join(changed)}; "
                "put it back to resume, or begin anew with --fresh"
            )
    elif resume:
        say(f"{place.path}: nothing to resume, beginning anew")
    place.write_job(job)
    place.clear_result()


def train(job: "TrainJob", place: RunDirectory, code: Path, output: Output) -> int:
    """Run the driver under a view, with the signals handled; `code` is where the training code lies."""
    from trainjobs.runtime.driver import train as drive

    control = Control()
    with ExitStack() as stack:
        view = stack.enter_context(chosen_view(job.metadata.name, output))
        stack.enter_context(Interruption(control, view))
        return int(drive(job, place, view, control, code).exit_code)


def chosen_view(name: str, output: Output) -> View:
    """JSON lines, the live display on a terminal, or plain lines."""
    if output is Output.JSON:
        return JsonLines()
    screen = console()
    if not screen.is_terminal or screen.is_dumb_terminal:
        return Plain()
    from trainjobs.cli.display import Display

    return Display(screen, name)


def told(place: RunDirectory, file: Path, overrides: Sequence[str], output: Output, code: int) -> int:
    """Sum the run up; return `code`."""
    from trainjobs.cli.summary import document, next_commands, next_line, summary

    story = read(place)
    if output is Output.JSON:
        write_json({"event": "Result", "exit_code": code, **document(story)})
        return code
    show(["", *summary(story), "", next_line(next_commands(story, str(file), overrides))])
    return code
