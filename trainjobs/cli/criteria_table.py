"""The table of criteria: how close each is to stopping the run, and why. One look for every command."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]
"""One criterion as `trainjobs.runs.events.row` makes it, and possibly a `note` below its sentence."""

BAR_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Closeness:
    """A bar from empty (far from stopping) to full (stops); `closeness` is 0 to 1."""

    closeness: float
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        filled = int(max(0.0, min(1.0, self.closeness)) * BAR_WIDTH)
        full, empty = ("#", ".") if options.ascii_only else ("━", "╌")
        yield Segment(full * filled, console.get_style(self.style))
        yield Segment(empty * (BAR_WIDTH - filled), Style(dim=True))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(BAR_WIDTH, BAR_WIDTH)


def criteria_table(rows: Sequence[Row], *, whole_sentences: bool) -> Table:
    """The criteria in the manifest's order; sentences are wrapped, or cut to one line each."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=not whole_sentences, overflow="fold" if whole_sentences else "ellipsis")
    for row in rows:
        table.add_row(_name(row), Closeness(row["closeness"], _style(row)), row["waiting"], _sentence(row))
        if whole_sentences and row.get("note"):
            table.add_row("", "", "", Text(row["note"], style="dim"))
    return table


def _name(row: Row) -> Text:
    return Text(row["name"], style="dim" if row["shadow"] or row["gated"] else "bold")


def _sentence(row: Row) -> Text:
    return Text(" ").join(_parts(row))


def _parts(row: Row) -> Iterator[Text]:
    if row["shadow"]:
        yield Text("shadow:" if not row["stop"] else "shadow, would stop:", style="magenta")
    stops = row["stop"] and not row["shadow"]
    yield Text(row["reason"], style="yellow" if row["gated"] else "bold red" if stops else "")


def _style(row: Row) -> str:
    if row["gated"]:
        return "yellow"
    if row["shadow"]:
        return "magenta"
    return "red" if row["closeness"] >= 0.8 else "cyan"
