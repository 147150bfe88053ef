"""`trainjobs logs`: what the training function of a run has printed."""

from pathlib import Path

from trainjobs.cli.places import run_at
from trainjobs.runs.events import Printed
from trainjobs.runs.following import followed
from trainjobs.views.printable import uncoloured
from trainjobs.views.writing import write_line


def logs(run: Path, rank: int | None, *, follow: bool) -> None:
    """Print the lines of all ranks, or of one; `follow`: until the run ends. Raises NoInput or DataError."""
    directory = run_at(run)
    found = followed(directory) if follow else iter(directory.events())
    for event in found:
        if isinstance(event, Printed) and rank in (None, event.rank):
            prefix = f"rank {event.rank}: " if rank is None else ""
            write_line(uncoloured(f"{prefix}{event.text}"))
