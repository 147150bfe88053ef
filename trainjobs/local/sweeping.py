"""A sweep on this machine, from its manifest to its end; how it is shown and interrupted is the caller's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from trainjobs.api.manifest import Manifest, Problem, SpecError
from trainjobs.api.sweep import TrainSweep
from trainjobs.exits import CannotCreate, Exit
from trainjobs.local import entrypoint
from trainjobs.local.beginning import Say
from trainjobs.local.running import Start
from trainjobs.runs.directory import RunDirectory
from trainjobs.sweeps.events import SweepEvent, Tell
from trainjobs.sweeps.record import SweepDirectory, changed_since
from trainjobs.sweeps.space import checked
from trainjobs.tracking.trackers import not_installed
from trainjobs.views.writing import outlived

if TYPE_CHECKING:
    from trainjobs.sweeps.driver import SweepRun

EXITS: Final = {"Complete": Exit.DONE, "Interrupted": Exit.INTERRUPTED, "Failed": Exit.USER_CODE}
"""The exit code of a sweep that has ended so."""


Drive: TypeAlias = "Callable[[TrainSweep, Callable[[Tell], SweepRun]], dict[str, Any]]"
"""Runs a sweep that is to be made with what is told its events, and gives back its result."""


@dataclass(frozen=True, slots=True)
class EndedSweep:
    """A sweep that has ended."""

    directory: SweepDirectory
    document: dict[str, Any]
    """Its `result.json`."""

    @property
    def exit_code(self) -> Exit:
        return EXITS[self.document["state"]]


def sweep(manifest: Manifest, start: Start, say: Say, drive: Drive) -> EndedSweep:
    """Sweep until it ends. Raises UserError or SpecError.

    Args:
        say: is told in a sentence what is done with what is there.
    """
    job = checked(manifest)
    if unusable := [
        Problem(f"spec.template.spec.reportTo[{index}]", name.value, fault)
        for index, name, fault in not_installed(job.spec.template.spec.report_to)
    ]:
        raise SpecError(unusable)
    if found := entrypoint.sweep_problem(manifest, job, start.code):
        raise SpecError([found])
    directory = SweepDirectory(start.kept_in("sweeps", job.metadata.name))
    directory.check_ours()
    if start.fresh and directory.exists():
        with directory.hold():
            say(f"moved the earlier sweep to {RunDirectory(directory.path).move_aside()}")
    with directory.hold():
        _prepare(directory, job, resume=start.resume)
        return EndedSweep(directory, drive(job, partial(_made, job, directory, start.code)))


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


def _made(job: TrainSweep, directory: SweepDirectory, code: Path, tell: Tell) -> "SweepRun":
    from trainjobs.sweeps.driver import SweepRun

    def tell_on(event: SweepEvent) -> None:
        with outlived():
            tell(event)

    return SweepRun(job, directory, code, tell_on)
