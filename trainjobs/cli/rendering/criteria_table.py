"""The table of criteria: how close each is to stopping the run, and why. One look for every command."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from trainjobs.runs.events import CriterionResult

BAR_WIDTH = 10
ROOM_OF_A_NUMBER = len("-0.123456")
"""Columns for a number of six digits, so that the next report's moves nothing beside it."""


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


def criteria_table(
    results: Sequence[CriterionResult],
    *,
    whole_sentences: bool,
    notes: Mapping[str, str] | None = None,
    steady: bool = False,
) -> Table:
    """The criteria in the manifest's order; sentences are wrapped, or cut to one line each.

    Args:
        notes: for the name of a criterion, what stands below its sentence.
        steady: the columns stay where they are when it is drawn again after later reports.
    """
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column(no_wrap=True)
    room = max((_room(result.waiting) for result in results), default=0) if steady else None
    table.add_column(no_wrap=True, justify="right", min_width=room)
    table.add_column(ratio=1, no_wrap=not whole_sentences, overflow="fold" if whole_sentences else "ellipsis")
    for result in results:
        bar = Closeness(result.closeness, _style(result))
        table.add_row(_name(result), bar, result.waiting, _sentence(result))
        if notes and result.name in notes:
            table.add_row("", "", "", Text(notes[result.name], style="dim"))
    return table


def _room(waiting: str) -> int:
    """Columns that it comes to need: "3/5" is "10/10" one day at most, and "0.98/0.995" may be "0.976123/0.995"."""
    have, slash, need = waiting.partition("/")
    whole = "." not in have + need
    return (len(need) if whole else ROOM_OF_A_NUMBER) + len(slash + need) if slash else len(waiting)


def _name(result: CriterionResult) -> Text:
    return Text(result.name, style="dim" if result.shadow or result.gated else "bold")


def _sentence(result: CriterionResult) -> Text:
    return Text(" ").join(_parts(result))


def _parts(result: CriterionResult) -> Iterator[Text]:
    if result.shadow:
        yield Text("shadow:" if not result.stop else "shadow, would stop:", style="magenta")
    stops = result.stop and not result.shadow
    yield Text(result.reason, style="yellow" if result.gated else "bold red" if stops else "")


def _style(result: CriterionResult) -> str:
    if result.gated:
        return "yellow"
    if result.shadow:
        return "magenta"
    return "red" if result.closeness >= 0.8 else "cyan"
