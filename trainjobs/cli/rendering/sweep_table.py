"""How a sweep looks: one line for each thing that happens, or a live table on a terminal, and the end."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from trainjobs.api.sweep import TrainSweep
from trainjobs.cli.rendering.terminal import Output, console, tidy
from trainjobs.runs.codec import jsonable
from trainjobs.stopping.wording import number
from trainjobs.sweeps.events import SweepEvent
from trainjobs.sweeps.lines import TrialLines, values
from trainjobs.sweeps.record import SweepDirectory, Table
from trainjobs.views.formatting import count
from trainjobs.views.writing import write_json

ROWS = 20
"""Trials of the live table: the newest."""
ROOM_OF_A_VALUE = 32
"""Characters of a parameter, its name with it, that are never broken in two."""


class JsonTrials(TrialLines):
    """A JSON object for each event."""

    def __call__(self, event: SweepEvent) -> None:
        if event.trial is None:
            self.note(event.message)
        else:
            write_json({"event": "Trial", **jsonable(event.trial)})

    def note(self, text: str) -> None:
        write_json({"event": "Note", "message": text})


class LiveTrials(TrialLines):
    """A table that is drawn anew."""

    def __init__(self, sweep: TrainSweep, live: Live) -> None:
        super().__init__(sweep)
        self._live = live

    def __call__(self, event: SweepEvent) -> None:
        if event.trial is None:
            self.note(event.message)
        self._live.update(Group(trials_table(self.table, ROWS), Text(tally(self.table))))

    def note(self, text: str) -> None:
        self._live.console.print(text)

    def abandon(self) -> None:
        tidy()


@contextmanager
def chosen_sweep_view(sweep: TrainSweep, output: Output) -> Iterator[TrialLines]:
    """JSON lines, a live table on a terminal, or plain lines."""
    screen = console()
    if output is Output.JSON:
        yield JsonTrials(sweep)
    elif not screen.is_terminal or screen.is_dumb_terminal:
        yield TrialLines(sweep)
    else:
        with Live(console=screen, refresh_per_second=4) as live:
            yield LiveTrials(sweep, live)


def trials_table(table: Table, rows: int) -> RichTable:
    """The newest trials: state, epoch, objective, parameters, reason."""
    newest = [(trial, values(trial)) for trial in list(table.trials.values())[-rows:]]
    longest = max((len(word) for _, parameters in newest for word in parameters.split()), default=0)
    drawn = RichTable(box=None, pad_edge=False)
    for title in ("trial", "state", "epoch", table.objective.metric):
        drawn.add_column(title)
    drawn.add_column("parameters", overflow="fold", min_width=min(longest, ROOM_OF_A_VALUE))
    drawn.add_column("why", overflow="fold")
    best = table.best
    for trial, parameters in newest:
        mark = "*" if trial is best else ""
        drawn.add_row(
            f"{trial.name}{mark}",
            str(trial.state),
            str(trial.epoch),
            "" if math.isnan(trial.objective) else number(trial.objective),
            Text(parameters),
            Text(trial.reason if trial.state.ended else ""),
        )
    return drawn


def tally(table: Table) -> str:
    """Such as "24 trials: 3 Finished, 21 Pruned; best val_loss 0.31 (trial 0007)"."""
    counts = ", ".join(f"{n} {state}" for state, n in table.counts.items())
    best = table.best
    leader = f"; best {table.objective.metric} {number(best.objective)} (trial {best.name})" if best else ""
    return f"{count(len(table.trials), 'trial')}: {counts or 'none'}{leader}"


def sweep_summary(directory: SweepDirectory, document: dict[str, Any] | None) -> list[Any]:
    """The table, and what follows from it."""
    table = directory.table(directory.sweep().spec.objective)
    lines: list[Any] = [trials_table(table, len(table.trials)), "", tally(table), state_of_sweep(document)]
    if saved := saved_of_sweep(table):
        lines.append(f"about {saved[0]} saved, {saved[1]}")
    if table.best is not None:
        lines.append(f"Next: trainjobs promote {directory.path}   (the manifest of trial {table.best.name})")
    return lines


def state_of_sweep(document: Mapping[str, Any] | None) -> str:
    """How it has ended, by its result."""
    return (
        f"{document['state']}: {document['reason']}" if document else "not finished, and nobody has said why"
    )


def saved_of_sweep(table: Table) -> tuple[str, str] | None:
    """The epochs that trials were spared, and against what; None where there are none."""
    spared = sum(trial.saved_epochs for trial in table.trials.values())
    return (count(spared, "epoch"), "against every trial's own length") if spared else None
