"""`trainjobs stop`: complete a run that trains in another process, as `stop` in its manifest does."""

import time
from pathlib import Path

from rich.text import Text

from trainjobs.api.reasons import COMPLETIONS
from trainjobs.api.trainjob import Stop
from trainjobs.cli.places import run_at
from trainjobs.cli.rendering.summary import document, headline
from trainjobs.cli.rendering.terminal import Output, say, show
from trainjobs.exits import Exit, NoInput
from trainjobs.local.run_report import read
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.following import LOOK_S
from trainjobs.views.lines import halted
from trainjobs.views.writing import write_json


def stop(run: Path, reason: str, output: Output) -> int:
    """Ask, wait until every rank has halted and the run is complete, say where; return the exit code.

    Raises:
        NoInput: nobody trains there, and the run is not complete.
    """
    directory = run_at(run)
    if (process := directory.holder()) is not None:
        _ask(directory, reason)
        say(f"asked process {process} to stop; waiting until every rank has halted")
        while directory.holder() is not None:
            time.sleep(LOOK_S)
    elif not directory.finished():
        raise NoInput(f"{directory.path}: nobody trains there, so there is nothing to stop")
    report = read(directory)
    if output is Output.JSON:
        write_json(document(report))
    else:
        end = report.told.halted
        show([Text(headline(report)), *([Text(halted(end))] if end and end.decision else [])])
    return Exit.DONE if report.state.value in COMPLETIONS else Exit.FAILURE


def _ask(directory: RunDirectory, reason: str) -> None:
    job = directory.job()
    spec = job.spec.model_copy(update={"stop": Stop(reason=reason)})
    directory.write_job(job.model_copy(update={"spec": spec}))
