"""The live display of a run on a terminal."""

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainjobs.api import Length
from trainjobs.cli.rendering.criteria_table import ROOM_OF_A_NUMBER, criteria_table
from trainjobs.cli.rendering.screen import Screen
from trainjobs.cli.rendering.sparkline import Sparkline
from trainjobs.cli.rendering.terminal import tidy
from trainjobs.runs.events import Decided, Event, Failed, Halted, Printed, Reported, Restarting, Warned
from trainjobs.runs.run_state import Phase, RunState
from trainjobs.stopping.wording import number
from trainjobs.views import lines
from trainjobs.views.formatting import count, duration, spot
from trainjobs.views.printable import coloured, uncoloured
from trainjobs.views.view import View

REFRESHES_PER_SECOND = 4
MOST_METRICS = 8
_LINES_AROUND = 7
"""Title, two bars, two blank lines, a blank line and a note."""
_LINES_OF_A_SENTENCE = 3
"""Of a criterion, on a terminal of 80 columns."""
_ROOM_OF_A_DURATION = len("59 min 59 s")
_ROOM_OF_TIMES = len("59 min 59 s  at most 59 min 59 s left")
"""Columns that are kept for words whose length changes, so that what stands beside them does not move."""


class Display(View):
    """Draws the screen in place; decisions, warnings and failures scroll by above it and stay."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._screen = Screen(name)
        self._note = ""
        self._start_began = time.monotonic()
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        before, self._screen = self._screen, self._screen.after(event)
        if before.state.phase is not self._screen.state.phase is Phase.STARTING:
            self._start_began = time.monotonic()
        for text in self._lasting(event, before.state):
            self._console.print(text)

    def note(self, text: str) -> None:
        """Say something from a signal handler: shown at the next refresh."""
        self._note = text

    def abandon(self) -> None:
        tidy()

    def _drawn(self) -> RenderableType:
        waited_s = time.monotonic() - self._start_began
        return drawn(self._screen, self._note, self._console.height, waited_s)

    def _lasting(self, event: Event, before: RunState) -> list[Text]:  # noqa: PLR0911 - one return for each kind of event
        match event:
            case Reported():
                shadows = lines.shadows(before, self._screen.state)
                return [Text(line, style="magenta") for line in shadows]
            case Decided():
                return [Text(lines.decided(event.decision), style="bold")]
            case Halted() if event.decision:
                return [Text(lines.halted(event))]
            case Failed():
                return [Text(uncoloured(lines.failed(event)), style="red")]
            case Restarting():
                return [Text(uncoloured(lines.restarting(event)), style="yellow")]
            case Printed():
                return [Text.from_ansi(coloured(lines.printed(event)))]
            case Warned():
                return [Text(lines.warned(event), style="yellow")]
            case _:
                return []


def drawn(screen: Screen, note: str = "", height: int = 24, waited_s: float = 0.0) -> RenderableType:
    """The screen, at most as wide as the terminal; sentences are cut to a line where its height asks for it.

    Args:
        screen: what is shown.
        note: a line below it.
        height: of the terminal, in lines.
        waited_s: since the workers began to start, which is told while they do.
    """
    parts: list[RenderableType] = [_title(screen, waited_s)]
    if screen.state.length is not None:
        parts += [Padding(_progress(screen, screen.state.length), (0, 0, 0, 2))]
    if screen.state.last is not None:
        parts += [Text(), Padding(_metrics(screen), (0, 0, 0, 2))]
    if screen.state.results:
        parts += [Text(), Padding(_criteria(screen, height), (0, 0, 0, 2))]
    if note:
        parts += [Text(), Text(note, style="bold yellow")]
    return Group(*parts)


def _criteria(screen: Screen, height: int) -> Table:
    metrics = min(len(screen.state.last.metrics), MOST_METRICS + 1) if screen.state.last else 0
    lines_if_whole = _LINES_AROUND + metrics + _LINES_OF_A_SENTENCE * len(screen.state.results)
    return criteria_table(screen.state.results, whole_sentences=lines_if_whole <= height, steady=True)


def _title(screen: Screen, waited_s: float) -> Text:
    starting = screen.state.phase is Phase.STARTING and waited_s >= 1
    facts = [f"{screen.state.phase}{f' for {duration(int(waited_s))}' if starting else ''}"]
    if screen.state.workers:
        on = f" on {screen.state.started.device}" if screen.state.started else ""
        facts.append(count(screen.state.workers, "worker") + on)
    if screen.state.attempt > 1:
        facts.append(f"attempt {screen.state.attempt}")
    if screen.state.checkpoint is not None:
        facts.append(f"checkpoint of step {screen.state.checkpoint.step:,}")
    return Text.assemble(
        (screen.name, "bold"), ("  " + " · ".join(facts), "dim"), no_wrap=True, overflow="ellipsis"
    )


def _progress(screen: Screen, length: Length) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(max_width=30)  # gives way to the words beside it where the terminal is narrow
    table.add_column(no_wrap=True, min_width=_ROOM_OF_TIMES)
    left = screen.seconds_left if screen.state.phase is Phase.TRAINING else None
    ahead = "" if left is None else f"at most {duration(left)} left"
    done = length.named(screen.epochs_done, screen.state.step)
    at = length.named(min(screen.epoch, length.amount), screen.state.step)
    table.add_row(
        _counted(length.unit, at, length.amount),
        ProgressBar(total=length.amount, completed=done),
        f"{duration(screen.state.seconds):>{_ROOM_OF_A_DURATION}}  {ahead}",
    )
    now = screen.state.progress
    if now is not None and not (screen.ended and now.batch == 0):
        batches = _counted("batch", now.batch, now.batches) if now.batches else f"batch {now.batch:,}"
        bar = ProgressBar(total=now.batches, completed=now.batch) if now.batches else Text()
        table.add_row(batches, bar, length.named(f"step {now.step:,}", f"epoch {now.epoch:,}"))
    return table


def _counted(what: str, at: int, total: int) -> str:
    """Such as "epoch 3 of 100", as wide as it will become."""
    return f"{what} {at:,} of {total:,}".ljust(len(f"{what} {total:,} of {total:,}"))


def _metrics(screen: Screen) -> Table:
    assert screen.state.last is not None  # noqa: S101 - only asked with a report
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column(justify="right", no_wrap=True, min_width=ROOM_OF_A_NUMBER)
    table.add_column(no_wrap=True)
    shown = list(screen.state.last.metrics.items())
    table.add_column(no_wrap=True)
    for name, value in shown[:MOST_METRICS]:
        curve = [seen.metrics[name] for seen in screen.state.history if name in seen.metrics]
        table.add_row(name, number(value), Sparkline(curve), _best(screen, name))
    if len(shown) > MOST_METRICS:
        table.add_row(f"and {len(shown) - MOST_METRICS} more")
    return table


def _best(screen: Screen, metric: str) -> Text:
    best = screen.state.best
    if best is None or best.metric != metric:
        return Text()
    if best.report == len(screen.state.history):
        return Text("best so far", style="green")
    at = screen.state.length.named("in", "at") if screen.state.length else "in"
    place = f"{at} {spot(screen.state.length, best.epoch, best.step)}"
    return Text(f"best {number(best.value)} {place}", style="dim")
