"""`trainjobs explain`: why a run stopped, or where it stands."""

from pathlib import Path

from trainjobs.cli.program import program
from trainjobs.cli.rendering.summary import document, frames, next_commands, next_line, summary
from trainjobs.cli.rendering.terminal import Output, show
from trainjobs.cli.sweep import show_result
from trainjobs.local.run_report import read
from trainjobs.runs.directory import RunDirectory
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.views.writing import write_json


def explain(directory: Path, output: Output) -> None:
    """Tell the run's report from its directory. Raises NoInput, DataError or SpecError."""
    if (sweep := SweepDirectory(directory)).exists():
        show_result(sweep, sweep.result() or {}, output)
        return
    report = read(RunDirectory(directory))
    if output is Output.JSON:
        write_json(document(report))
        return
    show([*summary(report), *frames(report)])
    itself = f"{program()} explain"
    following = [command for command in next_commands(report) if not command.startswith(itself)]
    if following:
        show(["", next_line(following)])
