"""A run on this machine, from its manifest to its end; how it is shown and interrupted is the caller's."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trainjobs.api.manifest import Manifest, Problem, SpecError
from trainjobs.exits import Exit, UsageError
from trainjobs.local import entrypoint
from trainjobs.local.beginning import Say, move_aside, prepare, why_done
from trainjobs.local.launching import Launch
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Event
from trainjobs.runs.requests import Control
from trainjobs.tracking.trackers import not_installed
from trainjobs.views.writing import outlived

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.driver.launcher import Workers


@dataclass(frozen=True, slots=True)
class Start:
    """What somebody asks for beside the manifest."""

    code: Path
    """Directory searched for the training code first."""
    resume: bool = False
    fresh: bool = False
    directory: Path | None = None
    """Where it is kept. Default: below the current directory, by its name."""

    def __post_init__(self) -> None:
        if self.resume and self.fresh:
            raise UsageError("--resume goes on and --fresh begins anew: choose one")

    def kept_in(self, kind: str, name: str) -> Path:
        """Where it is kept; `kind` is the folder of all of that kind. Raises UsageError."""
        place = self.directory or Path(kind) / name
        try:
            return place.expanduser()
        except RuntimeError as error:
            raise UsageError(f"--run-dir {place}: there is no such home directory") from error


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run that is about to train."""

    job: "TrainJob"
    directory: RunDirectory
    control: Control
    """Takes requests to halt."""
    resumable: bool
    """Whether there is a checkpoint already."""
    inline: bool
    """Whether the training function is called in this process."""


class Following(Protocol):
    """Makes what is told every event of a run, between its `with` and its end."""

    def __call__(self, beginning: Beginning, /) -> AbstractContextManager[Callable[[Event], None]]: ...


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, now or before."""

    job: "TrainJob"
    directory: RunDirectory
    exit_code: Exit


def run(manifest: Manifest, start: Start, launch: Launch, say: Say, following: Following) -> EndedRun:
    """Train until it ends. A run that has finished and is not to be trained on is left as it is.

    Args:
        launch: makes what starts the workers.
        say: is told in a sentence what is done with what is there.

    Raises UserError or SpecError.
    """
    job = manifest.job()
    if found := entrypoint.problem(manifest, job, start.code):
        raise SpecError([found])
    if unusable := _uninstalled(manifest, job):
        raise SpecError(unusable)
    if launch.only_one and (several := _several(manifest, job)):
        raise SpecError(several)
    directory = RunDirectory(start.kept_in("runs", job.metadata.name))
    directory.check_ours()
    if start.fresh:
        move_aside(directory, say)
    elif (
        directory.exists()
        and directory.finished()
        and (why := why_done(directory, job, say, resume=start.resume))
    ):
        say(f"{directory.path}: {why}")
        return EndedRun(job, directory, Exit.DONE)
    with directory.hold():
        resumable = prepare(directory, job, say, resume=start.resume, fresh=start.fresh)
        workers = launch.workers(job.spec.trainer.num_workers)
        beginning = Beginning(job, directory, Control(), resumable, launch.only_one)
        return EndedRun(job, directory, _train(beginning, start.code, workers, following))


def _uninstalled(manifest: Manifest, job: "TrainJob") -> list[Problem]:
    """The trackers that `job` names and that are not here."""
    return [
        manifest.problem(("spec", "reportTo", index), name.value, fault)
        for index, name, fault in not_installed(job.spec.report_to)
    ]


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


def _train(beginning: Beginning, code: Path, workers: "Workers", following: Following) -> Exit:
    from trainjobs.driver.driver import train
    from trainjobs.driver.inline_launcher import InlineWorkers

    with following(beginning) as follow:

        def sink(event: Event) -> None:
            with outlived():
                follow(event)

        drive = partial(train, beginning.job, beginning.directory, sink, beginning.control, code, workers)
        ended = workers.beside(drive) if isinstance(workers, InlineWorkers) else drive()
        return ended.exit_code
