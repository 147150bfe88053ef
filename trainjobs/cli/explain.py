"""`trainjobs explain`: why a run stopped, or where it stands."""

from pathlib import Path

from trainjobs.cli.story import State, read
from trainjobs.cli.summary import document, next_commands, next_line, summary
from trainjobs.cli.terminal import Output, console, write_json
from trainjobs.runtime.directory import RunDirectory


def explain(directory: Path, output: Output) -> None:
    """Tell the run's story from its directory. Raises NoInput, DataError or SpecError."""
    story = read(RunDirectory(directory))
    if output is Output.JSON:
        write_json(document(story))
        return
    out = console()
    out.print(summary(story, criteria=True))
    if story.state is not State.RUNNING:
        out.print()
        out.print(next_line(next_commands(story)), soft_wrap=True)
