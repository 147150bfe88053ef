"""`trainjobs report`: a run, several, or a sweep as one HTML file to open, keep and pass on."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from trainjobs.cli.cluster.place import Place
from trainjobs.cli.pages.run_page import ToldRun, run_page
from trainjobs.cli.places import run_at
from trainjobs.exits import CannotCreate, UsageError, user_error
from trainjobs.runs.directory import write_whole
from trainjobs.runs.regular import opened
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.views.page.document import MARK
from trainjobs.views.writing import write_line

SWEEPS = Path("sweeps")
"""Where sweeps are kept when nobody says otherwise."""


def report(named: Sequence[Path], file: Path, cluster: Place) -> None:
    """Write the page. Raises UserError or SpecError."""
    _check_ours(file)
    page = _page(named, cluster)
    write_whole(file, page)
    write_line(f"{file}: {len(page.encode()) / 1000:,.0f} kB; open it in a browser")


def _page(named: Sequence[Path], cluster: Place) -> str:
    sweeps = [sweep for path in named if not cluster.is_named and (sweep := _sweep_at(path)) is not None]
    if sweeps and len(named) > 1:
        raise UsageError(
            f"{sweeps[0].path}: is a sweep, which has a page of its own: name it alone, or name its trials"
        )
    if sweeps:
        from trainjobs.cli.pages.sweep_page import sweep_page

        return sweep_page(sweeps[0])
    return _page_of([_run(path, cluster) for path in named])


def _run(named: Path, cluster: Place) -> ToldRun:
    if not cluster.holds(named):
        return ToldRun.read(run_at(named))
    from trainjobs.cli.cluster.verbs import recorded

    with TemporaryDirectory() as scratch:
        directory, place = recorded(str(named), cluster, Path(scratch) / "run")
        return ToldRun.read(directory, place)


def _page_of(runs: Sequence[ToldRun]) -> str:
    if len(runs) == 1:
        return run_page(runs[0])
    from trainjobs.cli.pages.runs_page import runs_page

    return runs_page(runs)


def _sweep_at(path: Path) -> SweepDirectory | None:
    """The sweep's directory at a path, or of that name below `sweeps`."""
    found = (SweepDirectory(place) for place in (path, SWEEPS / path))
    return next((sweep for sweep in found if sweep.exists()), None)


def _check_ours(file: Path) -> None:
    """Nothing but an earlier report is written over. Raises CannotCreate, UsageError or NoPermission."""
    if file.is_dir():
        raise UsageError(f"{file}: is a directory; name a file in it, such as {file / 'report.html'}")
    try:
        with opened(file) as there:
            head = there.read(1000).decode(errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise user_error(error, f"writing {file}") from error
    if MARK not in head:
        raise CannotCreate(f"{file}: is there already and no report; name another file with -o")
